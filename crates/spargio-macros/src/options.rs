//! The options in the parentheses of an attribute: names, values, and what is wrong with them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, LitStr, Path, Token};

/// Every option that is passed on to the builder's method of the same name.
pub(crate) const KNOBS: [&str; 8] = [
    "shards",
    "thread_prefix",
    "thread_affinity",
    "ring_entries",
    "cq_entries",
    "stealable_queue_capacity",
    "sqpoll",
    "spin",
];

/// The option that is no knob: where the `spargio` crate is found.
const CRATE: &str = "crate";

/// What an attribute asks for.
pub(crate) struct Options {
    root: Option<Path>,
    knobs: Vec<(Ident, Expr)>,
}

impl Options {
    /// Reads all options; of several mistakes each is reported.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        Self::parse_list.parse2(tokens)
    }

    /// Sets a knob unless the attribute does.
    pub(crate) fn default_knob(&mut self, name: &str, value: Expr) {
        if !self.knobs.iter().any(|(known, _)| known == name) {
            self.knobs.push((Ident::new(name, Span::call_site()), value));
        }
    }

    /// The path of the crate, `::spargio` unless the attribute says otherwise.
    pub(crate) fn root(&self) -> TokenStream {
        match &self.root {
            Some(path) => path.to_token_stream(),
            None => quote!(::spargio),
        }
    }

    /// The calls on the builder, in the order written.
    pub(crate) fn calls(&self) -> TokenStream {
        self.knobs.iter().map(|(name, value)| quote!(.#name(#value))).collect()
    }

    fn parse_list(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self { root: None, knobs: Vec::new() };
        let mut mistakes: Option<syn::Error> = None;
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if let Err(mistake) = options.parse_one(&name, input)? {
                match &mut mistakes {
                    Some(earlier) => earlier.combine(mistake),
                    None => mistakes = Some(mistake),
                }
            }
            if input.is_empty() {
                break;
            }
            input.parse::<Token![,]>()?;
        }
        mistakes.map_or(Ok(options), Err)
    }

    /// Reads what follows a name. The outer error ends the parse; after the inner one the next
    /// option can still be read.
    fn parse_one(
        &mut self,
        name: &Ident,
        input: ParseStream<'_>,
    ) -> syn::Result<Result<(), syn::Error>> {
        let known = name == CRATE || KNOBS.iter().any(|knob| name == knob);
        if !input.peek(Token![=]) {
            let mistake = if known { missing_value(name) } else { unknown(name) };
            return if input.is_empty() || input.peek(Token![,]) {
                Ok(Err(mistake))
            } else {
                Err(mistake)
            };
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Err(missing_value(name)));
        }
        if name == CRATE {
            let root = input.parse::<Root>()?;
            if self.root.replace(root.0).is_some() {
                return Ok(Err(duplicate(name)));
            }
            return Ok(Ok(()));
        }
        let value = input.parse::<Expr>()?;
        if !known {
            return Ok(Err(unknown(name)));
        }
        if self.knobs.iter().any(|(earlier, _)| earlier == name) {
            return Ok(Err(duplicate(name)));
        }
        self.knobs.push((name.clone(), value));
        Ok(Ok(()))
    }
}

/// A path, bare or in quotes.
struct Root(Path);

impl Parse for Root {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            return input.parse::<LitStr>()?.parse_with(Path::parse_mod_style).map(Self);
        }
        Path::parse_mod_style(input).map(Self)
    }
}

fn unknown(name: &Ident) -> syn::Error {
    let known = KNOBS.join("`, `");
    syn::Error::new(
        name.span(),
        format!("unknown option `{name}`; the options are `{known}` and `{CRATE}`"),
    )
}

fn duplicate(name: &Ident) -> syn::Error {
    syn::Error::new(name.span(), format!("option `{name}` is given twice"))
}

fn missing_value(name: &Ident) -> syn::Error {
    let value = if name == CRATE { "<path>" } else { "<expression>" };
    syn::Error::new(name.span(), format!("option `{name}` needs a value: `{name} = {value}`"))
}
