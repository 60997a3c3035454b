use crate::cached::{is_result, texts};
use crate::profile::output_hint;
use crate::template::{Parameters, Template};
use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Block, Error, Expr, ItemFn, LitStr, Path, Result, parse_quote, parse2};

/// The arguments of `#[invalidates(…)]`.
struct Arguments {
    cache: Option<Expr>,
    key: Option<LitStr>,
    tags: Vec<LitStr>,
    event: Option<LitStr>,
    pattern: Option<LitStr>,
    krate: Path,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> Result<Self> {
        let mut arguments = Self {
            cache: None,
            key: None,
            tags: Vec::new(),
            event: None,
            pattern: None,
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
        } else if meta.path.is_ident("tags") {
            self.tags = texts(meta)?;
        } else if meta.path.is_ident("event") {
            self.event = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("pattern") {
            self.pattern = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("crate") {
            self.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            let known = "expected `cache`, `key`, `tags(…)`, `event`, `pattern` or `crate`";
            return Err(meta.error(known));
        }
        Ok(())
    }
}

/// Expands `#[invalidates(…)]` on a function.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let mut function: ItemFn = parse2(item)?;
    let fail = |message| Error::new(function.sig.ident.span(), message);
    let Some(cache) = &arguments.cache else {
        return Err(fail("`#[invalidates]` needs `cache = …`"));
    };
    let Arguments {
        key,
        tags,
        event,
        pattern,
        ..
    } = &arguments;
    if key.is_none() && tags.is_empty() && event.is_none() && pattern.is_none() {
        return Err(fail(
            "`#[invalidates]` needs `key`, `tags(…)`, `event` or `pattern`",
        ));
    }
    let names = names(&arguments, &Parameters::of(&function.sig))?;
    let block: Block = if function.sig.asyncness.is_none() {
        if let Some(far) = event.as_ref().or(pattern.as_ref()) {
            let message = "a sync function forgets near entries by `key` and `tags(…)` alone";
            return Err(Error::new(far.span(), message));
        }
        forgetting(&function, cache, &arguments.krate, &names)
    } else if is_result(&function.sig.output) {
        invalidating(&function, cache, &names, event.as_ref())
    } else {
        return Err(fail(
            "an invalidation may fail: the function returns a `Result` whose error is `From<CacheError>`",
        ));
    };
    *function.block = block;
    Ok(quote!(#function))
}

/// Expressions of type `String`, evaluated before the body may move the parameters.
struct Names {
    key: Option<TokenStream>,
    tags: Vec<TokenStream>,
    pattern: Option<TokenStream>,
}

fn names(arguments: &Arguments, parameters: &Parameters) -> Result<Names> {
    let krate = &arguments.krate;
    let key = |text: &LitStr| Ok(Template::parse(text, parameters)?.expression(krate, "key"));
    let pattern = |text: &LitStr| {
        let template = Template::parse_pattern(text, parameters)?;
        Ok::<_, Error>(template.expression(krate, "pattern"))
    };
    Ok(Names {
        key: arguments.key.as_ref().map(key).transpose()?,
        tags: arguments.tags.iter().map(key).collect::<Result<_>>()?,
        pattern: arguments.pattern.as_ref().map(pattern).transpose()?,
    })
}

fn invalidating(function: &ItemFn, cache: &Expr, names: &Names, event: Option<&LitStr>) -> Block {
    let Names { key, tags, pattern } = names;
    let (output, body) = (&function.sig.output, &function.block);
    let hint = output_hint(output);
    let mut steps = Vec::new();
    if key.is_some() {
        steps.push(quote!(__cache.invalidate(__key.as_str()).await?;));
    }
    if !tags.is_empty() {
        steps.push(quote!(__cache.invalidate_tags(__tags).await?;));
    }
    if let Some(event) = event {
        steps.push(quote!(__cache.invalidate_event(#event).await?;));
    }
    if pattern.is_some() {
        steps.push(quote!(__cache.delete_pattern(&__pattern, |_| {}).await?;));
    }
    let key = key.iter();
    let pattern = pattern.iter();
    parse_quote!({
        let __cache = (#cache).clone();
        #(let __key = #key;)*
        #(let __pattern = #pattern;)*
        let __tags: [::std::string::String; _] = [#(#tags),*];
        let __result = async move { #hint #body }.await;
        if __result.is_ok() {
            #(#steps)*
        }
        __result
    })
}

fn forgetting(function: &ItemFn, cache: &Expr, krate: &Path, names: &Names) -> Block {
    let (output, body) = (&function.sig.output, &function.block);
    let key = names.key.iter();
    let has_key = names
        .key
        .iter()
        .map(|_| quote!(__cache.forget(__key.as_str());));
    let tags = &names.tags;
    let is_done = if is_result(output) {
        quote!(__result.is_ok())
    } else {
        quote!(true)
    };
    parse_quote!({
        let __cache = (#cache).clone();
        #(let __key = #key;)*
        let __tags: [::std::string::String; _] = [#(#tags),*];
        let __result = #krate::__private::once(move || #output #body);
        if #is_done {
            #(#has_key)*
            for __tag in __tags {
                __cache.forget_tag(&__tag);
            }
        }
        __result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(arguments: TokenStream, item: TokenStream) -> String {
        expand(arguments, item).map_or_else(|error| error.to_string(), |_| "fine".into())
    }

    #[test]
    fn mistakes_are_told() {
        let function = || {
            quote!(
                async fn rename(id: u64) -> Result<(), Error> {}
            )
        };
        assert_eq!(
            message(
                quote!(cache = c, key = "user:{id}", pattern = "a:*"),
                function()
            ),
            "fine"
        );
        assert!(message(quote!(key = "user:{id}"), function()).contains("needs `cache"));
        assert!(message(quote!(cache = c), function()).contains("needs `key`"));
        assert!(message(quote!(cache = c, key = "{name}"), function()).contains("is no parameter"));
        assert!(message(quote!(cache = c, ttl = "5m"), function()).contains("expected `cache`"));
        let silent = quote!(
            async fn rename(id: u64) {}
        );
        assert!(
            message(quote!(cache = c, key = "{id}"), silent).contains("an invalidation may fail")
        );
        let sync = quote!(
            fn rename(id: u64) {}
        );
        assert!(
            message(quote!(cache = c, event = "e"), sync).contains("by `key` and `tags(…)` alone")
        );
    }
}
