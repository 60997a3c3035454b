use crate::profile::output_hint;
use crate::template::{Parameters, Template};
use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Block, Error, Expr, FnArg, GenericArgument, Ident, ItemFn, LitStr, Path, PathArguments, Result,
    ReturnType, Signature, Token, Type, parenthesized, parse_quote, parse2,
};

/// The arguments of `#[cached(…)]`.
struct Arguments {
    cache: Option<Expr>,
    key: Option<LitStr>,
    ttl: Option<LitStr>,
    tags: Vec<LitStr>,
    skip: Vec<Ident>,
    krate: Path,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut arguments = Self {
            cache: None,
            key: None,
            ttl: None,
            tags: Vec::new(),
            skip: Vec::new(),
            krate: parse_quote!(::perf_cache),
        };
        syn::meta::parser(|meta| arguments.set(&meta)).parse2(tokens)?;
        Ok(arguments)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("cache") {
            self.cache = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("key") {
            self.key = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("ttl") {
            self.ttl = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("tags") {
            self.tags = texts(meta)?;
        } else if meta.path.is_ident("skip") {
            let content;
            parenthesized!(content in meta.input);
            let names = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
            self.skip.extend(names);
        } else if meta.path.is_ident("crate") {
            self.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            let known = "expected `cache`, `key`, `ttl`, `tags(…)`, `skip(…)` or `crate`";
            return Err(meta.error(known));
        }
        Ok(())
    }
}

/// The texts in parentheses after a name.
pub(crate) fn texts(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let content;
    parenthesized!(content in meta.input);
    let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    Ok(texts.into_iter().collect())
}

const MAX_TAGS: usize = 3;

/// Expands `#[cached(…)]` on a function.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let mut function: ItemFn = parse2(item)?;
    let signature = &function.sig;
    let missing = |what| {
        Error::new(
            signature.ident.span(),
            format!("`#[cached]` needs `{what}`"),
        )
    };
    let cache = arguments
        .cache
        .as_ref()
        .ok_or_else(|| missing("cache = …"))?;
    let key = arguments
        .key
        .as_ref()
        .ok_or_else(|| missing("key = \"…\""))?;
    let parameters = Parameters::of(signature);
    let template = Template::parse(key, &parameters)?;
    every_parameter_counts(signature, &parameters, &template, &arguments.skip)?;
    let krate = &arguments.krate;
    let key = template.expression(krate, "key");
    let policy = policy(&arguments, &parameters)?;
    let body = &function.block;
    let block: Block = if signature.asyncness.is_some() {
        owns_its_parameters(signature)?;
        let loaded = loaded_type(&signature.output)?;
        let hint = output_hint(&parse_quote!(-> #loaded));
        parse_quote!({
            let (__key, __policy) = (#key, #policy);
            let __cache = (#cache).clone();
            let __load = move || async move { #hint #body };
            __cache.get_or_load_with(__key, __policy, __load).await
        })
    } else {
        let output = &signature.output;
        let compute = if is_result(output) {
            "try_compute"
        } else {
            "compute"
        };
        let compute = Ident::new(compute, signature.ident.span());
        parse_quote!({
            let (__key, __policy) = (#key, #policy);
            #krate::__private::#compute(&#cache, __key, __policy, || #output #body)
        })
    };
    *function.block = block;
    Ok(quote!(#function))
}

fn policy(arguments: &Arguments, parameters: &Parameters) -> Result<TokenStream> {
    let krate = &arguments.krate;
    if let Some(fourth) = arguments.tags.get(MAX_TAGS) {
        return Err(Error::new(
            fourth.span(),
            "an entry carries at most three tags",
        ));
    }
    let tags = arguments.tags.iter().map(|tag| {
        let tag = Template::parse(tag, parameters)?.expression(krate, "key");
        Ok(quote!(.tag(#tag)))
    });
    let tags = tags.collect::<Result<Vec<_>>>()?;
    let ttl = arguments.ttl.as_ref().map(milliseconds).transpose()?;
    let ttl = ttl.map(|ttl| quote!(.ttl(::core::time::Duration::from_millis(#ttl))));
    Ok(quote!(#krate::EntryPolicy::new()#ttl #(#tags)*))
}

/// `250ms`, `30s`, `5m`, `1h`, `7d`.
fn milliseconds(text: &LitStr) -> Result<u64> {
    let value = text.value();
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let scale = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let milliseconds = number.parse::<u64>().ok().zip(scale);
    milliseconds
        .and_then(|(number, scale)| number.checked_mul(scale))
        .filter(|milliseconds| *milliseconds > 0)
        .ok_or_else(|| {
            let message =
                "expected a number above zero and `ms`, `s`, `m`, `h` or `d`, as in \"5m\"";
            Error::new(text.span(), message)
        })
}

/// A parameter that the key leaves out would let two different calls share a value.
fn every_parameter_counts(
    signature: &Signature,
    parameters: &Parameters,
    key: &Template,
    skip: &[Ident],
) -> Result<()> {
    for name in skip {
        if !parameters.names.contains(name) {
            return Err(Error::new(
                name.span(),
                "this function has no such parameter",
            ));
        }
    }
    for input in &signature.inputs {
        let FnArg::Typed(typed) = input else {
            continue;
        };
        let name = parameters.names.iter().find(|name| match &*typed.pat {
            syn::Pat::Ident(pattern) => pattern.ident == **name,
            _ => false,
        });
        let Some(name) = name else {
            return Err(Error::new(typed.pat.span(), "give this parameter a name"));
        };
        if !key.uses(name) && !skip.contains(name) {
            let message = format!(
                "`{name}` is not part of the key: calls that differ in it would share a value. Name it in the key or in `skip({name})`"
            );
            return Err(Error::new(name.span(), message));
        }
    }
    Ok(())
}

/// A load outlives its caller, so it cannot borrow from it.
fn owns_its_parameters(signature: &Signature) -> Result<()> {
    for input in &signature.inputs {
        let borrowed = match input {
            FnArg::Receiver(receiver) => receiver.reference.is_some(),
            FnArg::Typed(typed) => matches!(&*typed.ty, Type::Reference(reference)
                if reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static")),
        };
        if borrowed {
            let message = "a load may outlive its caller: an async cached function owns its parameters (`String`, `Arc<Self>`)";
            return Err(Error::new(input.span(), message));
        }
    }
    Ok(())
}

/// `Result<V, E>`, where the function returns `Result<V, LoadError<E>>`.
fn loaded_type(output: &ReturnType) -> Result<Type> {
    let message = "an async cached function returns `Result<_, LoadError<_>>`: a load may fail, time out or panic";
    let fail = || Error::new(output.span(), message);
    let [value, error] = &arguments_of(output, "Result").ok_or_else(fail)?[..] else {
        return Err(fail());
    };
    let error: ReturnType = parse_quote!(-> #error);
    let [error] = &arguments_of(&error, "LoadError").ok_or_else(fail)?[..] else {
        return Err(fail());
    };
    Ok(parse_quote!(::core::result::Result<#value, #error>))
}

/// The type arguments of a type of that name.
fn arguments_of(output: &ReturnType, name: &str) -> Option<Vec<Type>> {
    let last = last_segment(output).filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument.clone()),
        _ => None,
    });
    types.collect()
}

pub(crate) fn is_result(output: &ReturnType) -> bool {
    last_segment(output).is_some_and(|segment| segment.ident == "Result")
}

fn last_segment(output: &ReturnType) -> Option<&syn::PathSegment> {
    let ReturnType::Type(_, output) = output else {
        return None;
    };
    let Type::Path(path) = &**output else {
        return None;
    };
    path.path.segments.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(arguments: TokenStream, item: TokenStream) -> String {
        expand(arguments, item).map_or_else(|error| error.to_string(), |_| "fine".into())
    }

    #[test]
    fn what_would_be_wrong_at_run_time_is_told_at_compile_time() {
        let function = quote!(
            async fn user(id: u64, region: u8) -> Result<String, LoadError<Error>> {}
        );
        let key = |key: &str| quote!(cache = users(), key = #key);
        assert_eq!(message(key("user:{id}:{region}"), function.clone()), "fine");
        assert!(
            message(key("user:{id}"), function.clone()).contains("`region` is not part of the key")
        );
        let skipping = quote!(cache = users(), key = "user:{id}", skip(region));
        assert_eq!(message(skipping, function.clone()), "fine");
        let skipping = quote!(cache = users(), key = "user:{id}", skip(place));
        assert!(message(skipping, function.clone()).contains("no such parameter"));
        assert!(message(quote!(key = "a"), function.clone()).contains("needs `cache = …`"));
        assert!(message(quote!(cache = users()), function.clone()).contains("needs `key"));
        let four = quote!(cache = c, key = "{id}:{region}", tags("a", "b", "c", "d"));
        assert!(message(four, function.clone()).contains("at most three tags"));
        assert!(message(quote!(size = 3), function).contains("expected `cache`"));
    }

    #[test]
    fn a_time_to_live_has_a_unit() {
        for (text, expected) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(milliseconds(&parse_quote!(#text)).ok(), Some(expected));
        }
        for text in [
            "",
            "5",
            "m",
            "0s",
            "5 m",
            "1.5h",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(milliseconds(&parse_quote!(#text)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_async_function_owns_what_it_takes_and_returns_a_load_error() {
        let arguments = || quote!(cache = users(), key = "{id}");
        let borrowed = quote!(
            async fn user(id: &str) -> Result<String, LoadError<Error>> {}
        );
        assert!(message(arguments(), borrowed).contains("owns its parameters"));
        let borrowed = quote!(
            async fn user(&self, id: u64) -> Result<String, LoadError<Error>> {}
        );
        assert!(message(arguments(), borrowed).contains("owns its parameters"));
        let fixed = quote!(
            async fn user(id: &'static str) -> Result<String, LoadError<Error>> {}
        );
        assert_eq!(message(arguments(), fixed), "fine");
        let plain = quote!(
            async fn user(id: u64) -> String {}
        );
        assert!(message(arguments(), plain).contains("returns `Result<_, LoadError<_>>`"));
        let other = quote!(
            async fn user(id: u64) -> Result<String, Error> {}
        );
        assert!(message(arguments(), other).contains("returns `Result<_, LoadError<_>>`"));
        let sync = quote!(
            fn user(&self, id: &str) -> String {}
        );
        assert_eq!(message(arguments(), sync), "fine");
    }
}
