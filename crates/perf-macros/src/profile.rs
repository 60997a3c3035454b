mod lines;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{
    Attribute, Block, ImplItem, ItemFn, ItemImpl, LitStr, Path, ReturnType, Signature, Type,
    parse_quote, parse2,
};

/// The arguments of `#[profile(…)]`.
struct Arguments {
    name: Option<LitStr>,
    lines: bool,
    skip: bool,
    krate: Path,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let mut arguments = Self {
            name: None,
            lines: false,
            skip: false,
            krate: parse_quote!(::perf_profile),
        };
        syn::meta::parser(|meta| arguments.set(&meta)).parse2(tokens)?;
        Ok(arguments)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("lines") {
            self.lines = true;
        } else if meta.path.is_ident("skip") {
            self.skip = true;
        } else if meta.path.is_ident("crate") {
            self.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            return Err(meta.error("expected `lines`, `skip`, `name = \"…\"` or `crate = …`"));
        }
        Ok(())
    }
}

/// Expands `#[profile(…)]` on a function or on all of an `impl` block.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    if let Ok(mut block) = parse2::<ItemImpl>(item.clone()) {
        for_each_method(&arguments, &mut block);
        return Ok(quote!(#block));
    }
    let mut function: ItemFn = parse2(item)?;
    if let Some(constness) = function.sig.constness {
        let message = "a `const fn` cannot be profiled: it may run where there is no clock";
        return Err(syn::Error::new_spanned(constness, message));
    }
    let ident = &function.sig.ident;
    let name = arguments
        .name
        .as_ref()
        .map_or_else(|| ident.to_string(), LitStr::value);
    *function.block = profiled(&arguments, &name, &function.sig, &function.block);
    Ok(quote!(#function))
}

/// Profiles the methods that can be and do not say themselves how, under the name of their type.
fn for_each_method(arguments: &Arguments, block: &mut ItemImpl) {
    let of_type = match (&arguments.name, &*block.self_ty) {
        (Some(name), _) => name.value(),
        (None, Type::Path(path)) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default(),
        (None, other) => other.to_token_stream().to_string(),
    };
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let own = method.attrs.iter().any(is_profile);
        if !own && method.sig.constness.is_none() {
            let name = format!("{of_type}::{}", method.sig.ident);
            method.block = profiled(arguments, &name, &method.sig, &method.block);
        }
    }
}

fn is_profile(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "profile")
}

fn profiled(arguments: &Arguments, name: &str, signature: &Signature, body: &Block) -> Block {
    if arguments.skip {
        body.clone()
    } else if arguments.lines {
        with_lines(arguments, name, signature, body)
    } else {
        timed(arguments, name, signature, body)
    }
}

/// The body as one call.
fn timed(arguments: &Arguments, name: &str, signature: &Signature, body: &Block) -> Block {
    let krate = &arguments.krate;
    let statics = statics(arguments, name, signature);
    let enter = quote!(#krate::__private::enter(&__PROFILE_CALLSITE, &__PROFILE_SLOT));
    if signature.asyncness.is_none() {
        return parse_quote!({
            #statics
            let _profile = #enter;
            #body
        });
    }
    let hint = output_hint(&signature.output);
    parse_quote!({
        #statics
        #krate::__private::profiled(async move { #hint #body }, || #enter).await
    })
}

/// The body as one call whose statements are timed as well.
fn with_lines(arguments: &Arguments, name: &str, signature: &Signature, body: &Block) -> Block {
    let krate = &arguments.krate;
    let statics = statics(arguments, name, signature);
    let lines::Marked { body, sites } = lines::mark(body.clone(), krate);
    let statics = quote! {
        #statics
        static __PROFILE_LINES: #krate::__private::Lines =
            #krate::__private::Lines::new(&__PROFILE_CALLSITE, &#sites);
        ::std::thread_local! {
            static __PROFILE_FRAME: #krate::__private::Frame =
                const { #krate::__private::Frame::new(#krate::__private::Current::NONE) };
            static __PROFILE_MEMORY: #krate::__private::Memory =
                const { #krate::__private::Memory::new(::core::option::Option::None) };
        }
    };
    let enter = quote!(#krate::__private::enter(&__PROFILE_CALLSITE, &__PROFILE_SLOT));
    let places = quote!(&__PROFILE_LINES, &__PROFILE_FRAME, &__PROFILE_MEMORY);
    if signature.asyncness.is_none() {
        return parse_quote!({
            #statics
            let _profile = #enter;
            let _lines = #krate::__private::enter_lines(#places, &_profile);
            #body
        });
    }
    let hint = output_hint(&signature.output);
    parse_quote!({
        #statics
        let body = #krate::__private::lined(async move { #hint #body }, #places);
        #krate::__private::profiled(body, || #enter).await
    })
}

/// What all calls of the function share, or all on one thread.
fn statics(arguments: &Arguments, name: &str, signature: &Signature) -> TokenStream {
    let krate = &arguments.krate;
    // `line!` would tell the attribute's line.
    let line = u32::try_from(signature.ident.span().unwrap().line()).unwrap_or(0);
    quote! {
        static __PROFILE_CALLSITE: #krate::__private::Callsite =
            #krate::__private::Callsite::new(#name, ::core::module_path!(), ::core::file!(), #line);
        ::std::thread_local! {
            static __PROFILE_SLOT: #krate::__private::Slot =
                const { #krate::__private::Slot::new(::core::option::Option::None) };
        }
    }
}

/// Tells the compiler what the body's async block returns, before it meets a `?` that must know.
///
/// A type with `impl` in it cannot be named there, nor need it be.
pub(crate) fn output_hint(output: &ReturnType) -> TokenStream {
    let output = match output {
        ReturnType::Default => quote!(()),
        // Nothing is returned, so nothing need be told.
        ReturnType::Type(_, output) if matches!(**output, Type::Never(_)) => {
            return TokenStream::new();
        }
        ReturnType::Type(_, output) => quote!(#output),
    };
    if has_impl(output.clone()) {
        return TokenStream::new();
    }
    quote! {
        #[allow(unreachable_code, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
        if false {
            let output: #output = loop {};
            return output;
        }
    }
}

fn has_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => has_impl(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(arguments: TokenStream, item: TokenStream) -> String {
        expand(arguments, item).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_profiled_is_refused_with_a_reason() {
        let function = || {
            quote!(
                fn seven() -> u8 {
                    7
                }
            )
        };
        assert_eq!(
            refusal(
                quote!(),
                quote!(
                    const fn seven() -> u8 {
                        7
                    }
                )
            ),
            "a `const fn` cannot be profiled: it may run where there is no clock"
        );
        let known = "expected `lines`, `skip`, `name = \"…\"` or `crate = …`";
        assert_eq!(refusal(quote!(title = "seven"), function()), known);
        assert_eq!(
            refusal(quote!(name = 7), function()),
            "expected string literal"
        );
        assert_eq!(refusal(quote!(name), function()), "expected `=`");
        assert_eq!(refusal(quote!(lines = true), function()), "expected `,`");
        assert_eq!(
            refusal(
                quote!(),
                quote!(
                    struct Seven;
                )
            ),
            "expected `fn`"
        );
    }
}
