//! What is compiled for tests alone.

use proc_macro2::TokenStream;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether attributes leave what bears them to tests: `#[cfg(test)]`, or a condition that cannot hold without.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            syn::parse2::<Meta>(list.tokens.clone()).is_ok_and(|condition| needs_test(&condition))
        }
        _ => false,
    })
}

fn needs_test(condition: &Meta) -> bool {
    let parts = |tokens: &TokenStream| {
        let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
        let parsed = parse.parse2(tokens.clone());
        parsed.map_or_else(|_| Vec::new(), |parts| parts.into_iter().collect())
    };
    match condition {
        Meta::Path(path) => path.is_ident("test") || path.is_ident("doc"),
        Meta::List(list) if list.path.is_ident("all") => parts(&list.tokens).iter().any(needs_test),
        Meta::List(list) if list.path.is_ident("any") => {
            let parts = parts(&list.tokens);
            !parts.is_empty() && parts.iter().all(needs_test)
        }
        _ => false,
    }
}
