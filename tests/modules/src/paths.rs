//! The paths that stand in a module's code.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Expr, ExprCall, Field, FieldValue, ImplItem, Item, ItemUse, Local, Macro,
    PatIdent, Path, TraitItem, Variant, VisRestricted,
};

use crate::conditions::{attributes, is_for_tests};
use crate::imports::{Import, imports, name_of};

/// What a module names.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) imports: Vec<Import>,
    pub(crate) others: Vec<Mention>,
}

/// A path in an expression, a type, a pattern or a macro's arguments.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Every path in `items`, but for what is left to tests.
pub(crate) fn paths(items: &[Item]) -> Paths {
    let mut paths = Paths::default();
    for item in items {
        paths.visit_item(item);
    }
    paths
}

impl Paths {
    fn mention(&mut self, path: Vec<String>, line: usize) {
        self.others.push(Mention { path, line });
    }

    fn mention_path(&mut self, path: &Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let names = path.segments.iter().map(|segment| name_of(&segment.ident)).collect();
            self.mention(names, first.ident.span().start().line);
        }
    }

    /// Reads paths where only tokens are known. A single name counts if it is written as a type's or called: any
    /// other may be a field or a variable.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    at += 1;
                }
                TokenTree::Ident(first) => {
                    let (path, after) = path_at(&tokens, at, first);
                    let is_member = at > 0 && is_punct(&tokens[at - 1], '.');
                    let is_called = matches!(tokens.get(after),
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                    if !is_member && (path.len() > 1 || is_called || is_type_name(&path[0])) {
                        self.mention(path, first.span().start().line);
                    }
                    at = after;
                }
                _ => at += 1,
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast Path) {
        // A single name that is not written as a type's may be a variable.
        if path.segments.len() > 1 || path.get_ident().is_none_or(|it| is_type_name(&name_of(it))) {
            self.mention_path(path);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && function.path.get_ident().is_some()
        {
            self.mention_path(&function.path);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.mention_path(&call.path);
        self.scan(call.tokens.clone());
    }

    /// A constant in a pattern looks like a variable that is bound.
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = name_of(&pattern.ident);
        if is_type_name(&name) {
            self.mention(vec![name], pattern.ident.span().start().line);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports.extend(imports(item));
    }

    /// Who may see something says nothing about what it uses.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes: &[Attribute] = match item {
            TraitItem::Const(item) => &item.attrs,
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_for_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !is_for_tests(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if !is_for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }
}

/// The path that begins at a token, and the index of the token after it.
fn path_at(tokens: &[TokenTree], start: usize, first: &Ident) -> (Vec<String>, usize) {
    let mut path = vec![name_of(first)];
    let mut at = start + 1;
    while let (Some(colon), Some(other), Some(TokenTree::Ident(next))) =
        (tokens.get(at), tokens.get(at + 1), tokens.get(at + 2))
        && is_punct(colon, ':')
        && is_punct(other, ':')
    {
        path.push(name_of(next));
        at += 3;
    }
    (path, at)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_type_name(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}
