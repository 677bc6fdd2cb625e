//! From the annotated function to the one that starts a runtime, and the rules for its shape.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, ItemFn, Signature, parse_quote};

use crate::options::Options;

/// Which attribute is expanded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// `#[spargio::main]`.
    Main,
    /// `#[spargio::test]`.
    Test,
}

impl Entry {
    fn name(self) -> &'static str {
        match self {
            Self::Main => "#[spargio::main]",
            Self::Test => "#[spargio::test]",
        }
    }
}

/// The whole attribute: the function that comes out, or every mistake as a `compile_error!`.
pub(crate) fn expand(entry: Entry, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item) {
        Ok(function) => function,
        Err(error) => {
            return refuse(&format!("{} goes on an async function", entry.name()), &error);
        }
    };
    match assemble(entry, options, &function) {
        Ok(tokens) => tokens,
        Err(error) => {
            // An empty function keeps the compiler from adding that `main` is missing.
            let (errors, name) = (error.to_compile_error(), &function.sig.ident);
            quote!(#errors #[allow(dead_code)] fn #name() {})
        }
    }
}

fn assemble(entry: Entry, options: TokenStream, function: &ItemFn) -> syn::Result<TokenStream> {
    let options = both(Options::parse(options), check_shape(entry, function))?;
    Ok(rewrite(entry, options, function))
}

fn rewrite(entry: Entry, mut options: Options, function: &ItemFn) -> TokenStream {
    let test_attribute: Option<Attribute> = match entry {
        Entry::Main => None,
        Entry::Test => {
            options.default_knob("shards", parse_quote!(2));
            Some(parse_quote!(#[::core::prelude::v1::test]))
        }
    };
    let ItemFn { attrs, vis, sig, block } = function;
    let name = &sig.ident;
    let output = &sig.output;
    let (root, calls) = (options.root(), options.calls());
    let body = if sig.inputs.is_empty() { quote!(|_| #name()) } else { name.to_token_stream() };
    // The inner item carries the body, so its return type guides inference and `?`.
    quote! {
        #test_attribute
        #(#attrs)*
        #vis fn #name() #output {
            #[allow(clippy::unused_async)]
            #sig #block
            #root::__private::run_main(#root::Runtime::builder()#calls, #body)
        }
    }
}

/// Refuses what cannot be an entry, each mistake at its own place.
fn check_shape(entry: Entry, function: &ItemFn) -> syn::Result<()> {
    let mut mistakes = Vec::new();
    check_signature(entry, &function.sig, &mut mistakes);
    if entry == Entry::Test {
        for attribute in function.attrs.iter().filter(|attribute| is_test(attribute)) {
            mistakes.push(syn::Error::new_spanned(
                attribute,
                "#[spargio::test] adds #[test] itself; remove this one",
            ));
        }
    }
    match mistakes.into_iter().reduce(joined) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn check_signature(entry: Entry, sig: &Signature, mistakes: &mut Vec<syn::Error>) {
    let entry = entry.name();
    let mut refuse = |place: &dyn ToTokens, message: String| {
        mistakes.push(syn::Error::new_spanned(place.to_token_stream(), message));
    };
    if sig.asyncness.is_none() {
        refuse(&sig.fn_token, format!("{entry} needs an `async fn`"));
    }
    if let Some(token) = &sig.constness {
        refuse(token, format!("{entry} does not take a `const fn`"));
    }
    if let Some(token) = &sig.unsafety {
        refuse(token, format!("{entry} does not take an `unsafe fn`: nobody could promise for it"));
    }
    if let Some(abi) = &sig.abi {
        refuse(abi, format!("{entry} does not take an `extern fn`"));
    }
    if !sig.generics.params.is_empty() {
        refuse(&sig.generics, format!("{entry} does not take a generic function"));
    }
    if let Some(clause) = &sig.generics.where_clause {
        refuse(clause, format!("{entry} does not take a `where` clause"));
    }
    if let Some(variadic) = &sig.variadic {
        refuse(variadic, format!("{entry} does not take a variadic function"));
    }
    for input in &sig.inputs {
        if let FnArg::Receiver(receiver) = input {
            refuse(receiver, format!("{entry} goes on a free function, without `self`"));
        }
    }
    for surplus in sig.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).skip(1) {
        refuse(surplus, format!("{entry} takes at most one parameter, the `RuntimeHandle`"));
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let path = attribute.path();
    let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
    match &names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test"] => true,
        [library, "prelude", _, "test"] => matches!(*library, "core" | "std"),
        _ => false,
    }
}

/// The value if both went well, else the mistakes of both.
fn both<T>(value: syn::Result<T>, check: syn::Result<()>) -> syn::Result<T> {
    match (value, check) {
        (Ok(value), Ok(())) => Ok(value),
        (Ok(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Err(first), Err(second)) => Err(joined(first, second)),
    }
}

fn joined(mut first: syn::Error, second: syn::Error) -> syn::Error {
    first.combine(second);
    first
}

/// One error for an item that is no function: what is wanted, and where the parser stopped.
fn refuse(wanted: &str, error: &syn::Error) -> TokenStream {
    let mut shown = syn::Error::new(Span::call_site(), wanted);
    shown.combine(error.clone());
    shown.to_compile_error()
}
