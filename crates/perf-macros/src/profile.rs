use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Block, ItemFn, LitStr, Path, ReturnType, Signature, parse_quote, parse2};

/// The arguments of `#[profile(…)]`.
struct Arguments {
    name: Option<LitStr>,
    krate: Path,
}

impl Arguments {
    fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let mut arguments = Self {
            name: None,
            krate: parse_quote!(::perf_profile),
        };
        syn::meta::parser(|meta| arguments.set(&meta)).parse2(tokens)?;
        Ok(arguments)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("crate") {
            self.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            return Err(meta.error("expected `name = \"…\"` or `crate = …`"));
        }
        Ok(())
    }
}

/// Expands `#[profile(…)]` on a function.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let arguments = Arguments::parse(arguments)?;
    let mut function: ItemFn = parse2(item)?;
    if let Some(constness) = function.sig.constness {
        let message = "a `const fn` cannot be profiled: it may run where there is no clock";
        return Err(syn::Error::new_spanned(constness, message));
    }
    let enter = enter(&arguments, &function.sig);
    let body = &function.block;
    let profiled: Block = if function.sig.asyncness.is_some() {
        let krate = &arguments.krate;
        let hint = output_hint(&function.sig.output);
        parse_quote!({
            #krate::__private::profiled(async move { #hint #body }, || #enter).await
        })
    } else {
        parse_quote!({
            let _profile = #enter;
            #body
        })
    };
    *function.block = profiled;
    Ok(quote!(#function))
}

/// The expression that starts a call and evaluates to its span.
fn enter(arguments: &Arguments, signature: &Signature) -> TokenStream {
    let krate = &arguments.krate;
    let ident = &signature.ident;
    let name = arguments
        .name
        .as_ref()
        .map_or_else(|| ident.to_string(), LitStr::value);
    // `line!` would tell the attribute's line.
    let line = u32::try_from(ident.span().unwrap().line()).unwrap_or(0);
    quote!({
        static CALLSITE: #krate::__private::Callsite =
            #krate::__private::Callsite::new(#name, ::core::module_path!(), ::core::file!(), #line);
        ::std::thread_local! {
            static SLOT: #krate::__private::Slot = const { #krate::__private::Slot::new(::core::option::Option::None) };
        }
        SLOT.with(|slot| #krate::__private::enter(&CALLSITE, slot))
    })
}

/// Tells the compiler what the body's async block returns, before it meets a `?` that must know.
///
/// A type with `impl` in it cannot be named there, nor need it be.
pub(crate) fn output_hint(output: &ReturnType) -> TokenStream {
    let output = match output {
        ReturnType::Default => quote!(()),
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
