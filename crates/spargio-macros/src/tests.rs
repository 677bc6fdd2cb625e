//! The expansion as structure, and each mistake with its message and its place.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Expr, ExprCall, ItemFn, ItemMacro, LitStr, Stmt};

use crate::expand::{Entry, expand};
use crate::options::{KNOBS, Options};

/// What an expansion consists of.
struct Expanded {
    outer: ItemFn,
    inner: ItemFn,
    call: ExprCall,
}

fn expanded(entry: Entry, options: TokenStream, item: TokenStream) -> Expanded {
    let outer: ItemFn = syn::parse2(expand(entry, options, item)).expect("one function comes out");
    let [Stmt::Item(syn::Item::Fn(inner)), Stmt::Expr(Expr::Call(call), None)] =
        &outer.block.stmts[..]
    else {
        panic!("an inner function and one call, not {}", outer.block.to_token_stream());
    };
    Expanded { inner: inner.clone(), call: call.clone(), outer }
}

/// The messages of the `compile_error!`s with the text of the source line each points at.
fn refused(entry: Entry, options: &str, item: &str) -> Vec<(String, usize)> {
    let tokens = expand(entry, options.parse().unwrap(), item.parse().unwrap());
    let file: syn::File = syn::parse2(tokens).expect("errors are items");
    let errors = file.items.iter().filter_map(|item| match item {
        syn::Item::Macro(ItemMacro { mac, .. }) => Some(mac),
        _ => None,
    });
    errors
        .map(|mac| {
            assert!(mac.path.segments.last().unwrap().ident == "compile_error");
            let message: LitStr = mac.parse_body().unwrap();
            (message.value(), mac.path.span().start().column)
        })
        .collect()
}

fn same(actual: &impl ToTokens, expected: TokenStream) {
    assert_eq!(actual.to_token_stream().to_string(), expected.to_string());
}

#[test]
fn main_hands_the_inner_function_to_the_core() {
    let out = expanded(
        Entry::Main,
        quote!(),
        quote! {
            /// Serves.
            #[allow(clippy::all)]
            pub(crate) async fn main(handle: RuntimeHandle) -> io::Result<u8> { handle.go().await }
        },
    );
    assert!(out.outer.sig.asyncness.is_none());
    assert!(out.outer.sig.inputs.is_empty());
    same(&out.outer.sig, quote!(fn main() -> io::Result<u8>));
    same(&out.outer.vis, quote!(pub(crate)));
    assert_eq!(out.outer.attrs.len(), 2);
    same(&out.inner.sig, quote!(async fn main(handle: RuntimeHandle) -> io::Result<u8>));
    same(&out.inner.block, quote!({ handle.go().await }));
    same(&out.call, quote!(::spargio::__private::run_main(::spargio::Runtime::builder(), main)));
}

#[test]
fn without_a_parameter_the_handle_is_dropped() {
    let out = expanded(
        Entry::Main,
        quote!(),
        quote!(
            async fn start() {}
        ),
    );
    same(&out.call.args[1], quote!(|_| start()));
    same(&out.outer.sig, quote!(fn start()));
}

#[test]
fn each_knob_calls_the_method_of_its_name_in_the_order_written() {
    for knob in KNOBS {
        let name = quote::format_ident!("{knob}");
        let out = expanded(
            Entry::Main,
            quote!(#name = limit() + 1),
            quote!(
                async fn f() {}
            ),
        );
        same(&out.call.args[0], quote!(::spargio::Runtime::builder().#name(limit() + 1)));
    }
    let out = expanded(
        Entry::Main,
        quote!(spin = Duration::from_micros(9), thread_affinity = [0, 2], shards = 4,),
        quote!(
            async fn f() {}
        ),
    );
    same(
        &out.call.args[0],
        quote!(
            ::spargio::Runtime::builder()
                .spin(Duration::from_micros(9))
                .thread_affinity([0, 2])
                .shards(4)
        ),
    );
}

#[test]
fn the_crate_can_be_found_elsewhere() {
    for root in [quote!(crate = my::uring), quote!(crate = "my::uring")] {
        let out = expanded(
            Entry::Main,
            root,
            quote!(
                async fn f() {}
            ),
        );
        same(
            &out.call,
            quote!(my::uring::__private::run_main(my::uring::Runtime::builder(), |_| f())),
        );
    }
    let out = expanded(
        Entry::Test,
        quote!(crate = crate),
        quote!(
            async fn f() {}
        ),
    );
    same(&out.call.func, quote!(crate::__private::run_main));
}

#[test]
fn a_test_has_two_shards_unless_it_says_otherwise() {
    let out = expanded(
        Entry::Test,
        quote!(ring_entries = 8),
        quote!(
            async fn f() {}
        ),
    );
    same(&out.call.args[0], quote!(::spargio::Runtime::builder().ring_entries(8).shards(2)));
    let out = expanded(
        Entry::Test,
        quote!(shards = 1),
        quote!(
            async fn f() {}
        ),
    );
    same(&out.call.args[0], quote!(::spargio::Runtime::builder().shards(1)));
}

#[test]
fn a_test_keeps_its_attributes() {
    let out = expanded(
        Entry::Test,
        quote!(),
        quote!(
            #[should_panic(expected = "late")]
            #[ignore]
            async fn f() {}
        ),
    );
    let [test, should_panic, ignore] = &out.outer.attrs[..] else {
        panic!("three attributes");
    };
    same(test, quote!(#[::core::prelude::v1::test]));
    same(should_panic, quote!(#[should_panic(expected = "late")]));
    same(ignore, quote!(#[ignore]));
    assert_eq!(out.inner.attrs.len(), 1, "only the one that is ours");
}

#[test]
fn wrong_options_are_named_where_they_stand() {
    let cases: &[(&str, &str, usize)] = &[
        ("threads = 4", "unknown option `threads`; the options are `shards`, `thread_prefix`", 0),
        ("shards = 4, wat", "unknown option `wat`", 12),
        ("shards = 4, spin = d, shards = 5", "option `shards` is given twice", 22),
        ("crate = a, crate = b", "option `crate` is given twice", 11),
        ("shards", "option `shards` needs a value: `shards = <expression>`", 0),
        ("spin = d, shards =", "option `shards` needs a value", 10),
        ("shards(4)", "option `shards` needs a value", 0),
        ("crate", "option `crate` needs a value: `crate = <path>`", 0),
        ("shards = 4 spin = d", "expected `,`", 11),
        ("crate = 4", "expected identifier", 8),
        ("4", "expected ident", 0),
    ];
    for (options, message, column) in cases {
        let errors = refused(Entry::Main, options, "async fn main() {}");
        let [(shown, place)] = &errors[..] else { panic!("`{options}` gives {errors:?}") };
        assert!(shown.starts_with(message), "`{options}`: {shown}");
        assert_eq!(place, column, "`{options}`: {shown}");
    }
}

#[test]
fn the_list_of_options_is_complete_in_the_message() {
    let error = Options::parse(quote!(flavor = 1)).err().unwrap().to_string();
    for knob in KNOBS.iter().chain(&["crate"]) {
        assert!(error.contains(&format!("`{knob}`")), "{error}");
    }
}

#[test]
fn a_function_of_the_wrong_shape_is_refused_where_it_is_wrong() {
    let cases: &[(&str, &str, usize)] = &[
        ("fn main() {}", "#[spargio::main] needs an `async fn`", 0),
        ("async fn main<T>(t: T) {}", "#[spargio::main] does not take a generic function", 13),
        (
            "async fn main() where u8: Copy {}",
            "#[spargio::main] does not take a `where` clause",
            16,
        ),
        ("async fn main(&self) {}", "#[spargio::main] goes on a free function", 14),
        ("async fn main(a: A, b: B) {}", "#[spargio::main] takes at most one parameter", 20),
        ("async unsafe fn main() {}", "#[spargio::main] does not take an `unsafe fn`", 6),
        ("async extern \"C\" fn main() {}", "#[spargio::main] does not take an `extern fn`", 6),
        ("const async fn main() {}", "#[spargio::main] does not take a `const fn`", 0),
    ];
    for (item, message, column) in cases {
        let errors = refused(Entry::Main, "", item);
        let [(shown, place)] = &errors[..] else { panic!("`{item}` gives {errors:?}") };
        assert!(shown.starts_with(message), "`{item}`: {shown}");
        assert_eq!(place, column, "`{item}`: {shown}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let errors = refused(Entry::Test, "a = 1, b", "fn f<T>(x: T, y: T) {}");
    let messages: Vec<&str> = errors.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(messages[0].contains("`a`") && messages[1].contains("`b`"));
    assert!(messages[2..].iter().all(|message| message.starts_with("#[spargio::test]")));
}

#[test]
fn a_second_test_attribute_is_refused() {
    for attribute in ["#[test]", "#[::core::prelude::v1::test]", "#[std::prelude::rust_2024::test]"]
    {
        let errors = refused(Entry::Test, "", &format!("{attribute} async fn f() {{}}"));
        assert_eq!(errors.len(), 1, "{attribute}");
        assert!(errors[0].0.contains("adds #[test] itself"), "{errors:?}");
    }
}

#[test]
fn an_item_that_is_no_function_is_refused() {
    let errors = refused(Entry::Main, "", "struct S;");
    assert!(errors[0].0.contains("#[spargio::main] goes on an async function"), "{errors:?}");
}

#[test]
fn a_refused_main_still_exists() {
    let tokens = expand(
        Entry::Main,
        quote!(wat = 1),
        quote!(
            async fn main() {}
        ),
    );
    let file: syn::File = syn::parse2(tokens).unwrap();
    assert!(matches!(&file.items[1], syn::Item::Fn(function) if function.sig.ident == "main"));
}
