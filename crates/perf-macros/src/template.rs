use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, FnArg, Ident, LitStr, Member, Pat, Path, Result, Signature};

/// The named parameters of a function, and whether it has a receiver.
pub(crate) struct Parameters {
    pub(crate) names: Vec<Ident>,
    has_self: bool,
}

impl Parameters {
    pub(crate) fn of(signature: &Signature) -> Self {
        let names = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(name) => Some(name.ident.clone()),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        });
        Self {
            names: names.collect(),
            has_self: signature.receiver().is_some(),
        }
    }

    fn knows(&self, name: &str) -> bool {
        (self.has_self && name == "self") || self.names.iter().any(|known| known == name)
    }
}

/// What ends a value; `perf_cache` escapes the same in values.
const SEPARATORS: &str = ":/|,;#&=";

/// Text with parameters in it: `user:{id}`, `order:{order.id}`.
pub(crate) struct Template {
    /// One more than there are fields.
    literals: Vec<String>,
    /// Paths that begin with a parameter.
    fields: Vec<Vec<Member>>,
}

impl Template {
    /// Reads a template of a key or tag, whose fields must be parameters.
    pub(crate) fn parse(text: &LitStr, parameters: &Parameters) -> Result<Self> {
        Self::read(text, parameters, SEPARATORS)
    }

    /// Reads a template of a pattern, where a wildcard may follow a field.
    pub(crate) fn parse_pattern(text: &LitStr, parameters: &Parameters) -> Result<Self> {
        Self::read(text, parameters, &format!("{SEPARATORS}*"))
    }

    fn read(text: &LitStr, parameters: &Parameters, ends: &str) -> Result<Self> {
        let fail = |message: String| Error::new(text.span(), message);
        let value = text.value();
        let (mut literals, mut fields) = (vec![], vec![]);
        let mut literal = String::new();
        let mut rest = value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(escaped) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = escaped;
                continue;
            }
            let field = after.split_once('}').filter(|_| brace == "{");
            let Some((field, after)) = field else {
                return Err(fail(format!(
                    "a lone `{brace}`: write `{brace}{brace}` for the character"
                )));
            };
            fields.push(field_path(field, text, parameters)?);
            literals.push(std::mem::take(&mut literal));
            rest = after;
        }
        literal.push_str(rest);
        literals.push(literal);
        let template = Self { literals, fields };
        template.separates(ends).map_err(fail)?;
        Ok(template)
    }

    /// Without a separator after a field, different values would make one key.
    fn separates(&self, ends: &str) -> std::result::Result<(), String> {
        let after_fields = self.literals.iter().enumerate().skip(1);
        for (number, text) in after_fields {
            let is_end = number == self.fields.len() && text.is_empty();
            if !is_end && !text.starts_with(|first| ends.contains(first)) {
                let ends: Vec<String> = ends.chars().map(|end| format!("`{end}`")).collect();
                let ends = ends.join(" ");
                return Err(format!(
                    "text after a field begins with one of {ends}, or different values make one key; here it is {text:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether the parameter is part of it.
    pub(crate) fn uses(&self, parameter: &Ident) -> bool {
        let is_it = |first: &Member| matches!(first, Member::Named(name) if name == parameter);
        self.fields.iter().any(|path| is_it(&path[0]))
    }

    /// An expression of type `String`, made by the function of that name among the private ones.
    pub(crate) fn expression(&self, krate: &Path, function: &str) -> TokenStream {
        let function = Ident::new(function, proc_macro2::Span::call_site());
        let literals = &self.literals;
        let fields = self.fields.iter().map(|path| {
            let path = path.iter().map(ToTokens::to_token_stream);
            quote!(&#(#path).*)
        });
        quote!(#krate::__private::#function(&[#(#literals),*], &[#(#fields),*]))
    }
}

fn field_path(field: &str, text: &LitStr, parameters: &Parameters) -> Result<Vec<Member>> {
    let fail = |message: String| Error::new(text.span(), message);
    let parse = |part: &str| {
        let mut member = match part.trim() {
            "self" => Ident::new("self", text.span()).into(),
            part => syn::parse_str::<Member>(part)
                .map_err(|_| fail(format!("`{{{field}}}` is no parameter and no field of one")))?,
        };
        match &mut member {
            Member::Named(name) => name.set_span(text.span()),
            Member::Unnamed(index) => index.span = text.span(),
        }
        Ok(member)
    };
    let path = field.split('.').map(parse).collect::<Result<Vec<_>>>()?;
    let first = path[0].to_token_stream().to_string();
    if !parameters.knows(&first) {
        let known: Vec<String> = parameters
            .names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let known = match known.len() {
            0 => "it has none".to_owned(),
            _ => format!("it has {}", known.join(", ")),
        };
        return Err(fail(format!(
            "`{first}` is no parameter of this function: {known}"
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn message(text: &str) -> String {
        let function: syn::ItemFn = parse_quote!(
            fn f(id: u64, order: Order) {}
        );
        let text = LitStr::new(text, proc_macro2::Span::call_site());
        match Template::parse(&text, &Parameters::of(&function.sig)) {
            Ok(template) => format!("{:?} {}", template.literals, template.fields.len()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn fields_are_parameters_or_their_fields() {
        assert_eq!(message("user:{id}:{order.id}"), r#"["user:", ":", ""] 2"#);
        assert_eq!(message("{{{id}:}}"), r#"["{", ":}"] 1"#);
        assert_eq!(message("{id}:{order.0.r#type}/"), r#"["", ":", "/"] 2"#);
        assert_eq!(message("plain"), r#"["plain"] 0"#);
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(
            message("user:{idd}"),
            "`idd` is no parameter of this function: it has `id`, `order`"
        );
        for text in [
            "{id}{order.id}",
            "{id}-{order.id}",
            r"{id}\{order.id}",
            "{id}*",
            "{id}s",
        ] {
            assert!(
                message(text).contains("text after a field begins with"),
                "{text}"
            );
        }
        assert!(message("user:{id").contains("a lone `{`"));
        assert!(message("user:}").contains("a lone `}`"));
        assert!(message("user:{}").contains("is no parameter and no field"));
        assert!(message("{self.id}").contains("`self` is no parameter"));
    }
}
