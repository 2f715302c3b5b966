//! The Rust types of the wire against the WIT text, field by field and case by case, in order: the
//! encoding follows from the order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sandport_protocol::wire::{ReceiverMessage, SenderMessage};
use sandport_protocol::{EntryKind, RefusalCode};
use serde::Serialize;
use serde_reflection::{
    ContainerFormat, Format, Named, Samples, Tracer, TracerConfig, VariantFormat,
};
use wit_parser::{Resolve, Type, TypeDefKind, TypeId};

/// A type with its fields or cases, each with its type.
type Description = BTreeMap<String, Vec<String>>;

/// The roots: everything else is reached from them.
const MESSAGES: [&str; 2] = ["sender-message", "receiver-message"];

#[test]
fn rust_types_are_the_wit_types() {
    let (wit, rust) = (wit_types(), rust_types());
    let names = |types: &Description| types.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&rust), names(&wit));
    for (name, fields) in &wit {
        assert_eq!(&rust[name], fields, "{name}");
    }
}

#[test]
fn refusal_codes_are_spelled_as_in_wit_and_all_there() {
    let resolve = resolve();
    // The contract of components may get more of them; these stay in their places.
    for interface in ["wire", "types"] {
        let code = find(&resolve, interface, "refusal-code");
        let TypeDefKind::Enum(codes) = &resolve.types[code].kind else {
            panic!("refusal-code is no enum");
        };
        let wit: Vec<_> = codes.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(RefusalCode::ALL.map(RefusalCode::as_str).to_vec(), wit, "{interface}");
    }
    for (number, code) in RefusalCode::ALL.into_iter().enumerate() {
        assert_eq!(code as usize, number);
    }
}

fn resolve() -> Resolve {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    resolve.push_dir(path).unwrap();
    resolve
}

fn find(resolve: &Resolve, interface: &str, name: &str) -> TypeId {
    let (_, interface) = resolve
        .interfaces
        .iter()
        .find(|(_, candidate)| {
            let package = candidate.package.map(|package| &resolve.packages[package].name);
            candidate.name.as_deref() == Some(interface)
                && package.is_some_and(|package| package.namespace == "sandport")
        })
        .unwrap();
    interface.types[name]
}

fn wit_types() -> Description {
    let resolve = resolve();
    let mut types = Description::new();
    for message in MESSAGES {
        describe(&resolve, Type::Id(find(&resolve, "wire", message)), &mut types);
    }
    types
}

/// The text for a type; where it has a name, what it consists of goes into `types`.
fn describe(resolve: &Resolve, wit: Type, types: &mut Description) -> String {
    let id = match wit {
        Type::Bool => return "bool".into(),
        Type::U8 => return "u8".into(),
        Type::U32 => return "u32".into(),
        Type::U64 => return "u64".into(),
        Type::S64 => return "i64".into(),
        Type::String => return "string".into(),
        Type::Id(id) => id,
        other => panic!("the encoding has no {other:?}"),
    };
    let definition = &resolve.types[id];
    let mut text = |wit| describe(resolve, wit, types);
    let parts = match &definition.kind {
        TypeDefKind::Type(other) => return text(*other),
        TypeDefKind::List(element) => return format!("list<{}>", text(*element)),
        TypeDefKind::Option(some) => return format!("option<{}>", text(*some)),
        TypeDefKind::Tuple(tuple) => {
            let parts: Vec<_> = tuple.types.iter().map(|part| text(*part)).collect();
            return format!("tuple<{}>", parts.join(", "));
        }
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| (field.name.replace('-', "_"), text(field.ty));
            let fields = record.fields.iter().map(field);
            fields.map(|(name, wit)| format!("{name}: {wit}")).collect()
        }
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .map(|case| match case.ty {
                Some(payload) => format!("{}({})", pascal(&case.name), text(payload)),
                None => pascal(&case.name),
            })
            .collect(),
        TypeDefKind::Enum(codes) => codes.cases.iter().map(|case| pascal(&case.name)).collect(),
        other => panic!("the encoding has no {}", other.as_str()),
    };
    let name = pascal(definition.name.as_ref().unwrap());
    types.insert(name.clone(), parts);
    name
}

/// `refusal-code` as `RefusalCode`.
fn pascal(kebab: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    kebab.split('-').map(word).collect()
}

/// What serde sees when messages of every kind are written.
fn rust_types() -> Description {
    let mut tracer = Tracer::new(TracerConfig::default());
    let mut samples = Samples::new();
    let mut trace = |value: &dyn Traced| value.trace(&mut tracer, &mut samples);
    vectors::sender_messages().iter().for_each(|(_, message)| trace(message));
    vectors::receiver_messages().iter().for_each(|(_, message)| trace(message));
    RefusalCode::ALL.iter().for_each(|code| trace(code));
    [EntryKind::File, EntryKind::Directory].iter().for_each(|kind| trace(kind));
    let registry = tracer.registry().unwrap();
    registry.into_iter().map(|(name, container)| (name, container_text(container))).collect()
}

/// Any of the types that are traced as roots.
trait Traced {
    fn trace(&self, tracer: &mut Tracer, samples: &mut Samples);
}

impl<T: Serialize> Traced for T {
    fn trace(&self, tracer: &mut Tracer, samples: &mut Samples) {
        tracer.trace_value(samples, self).unwrap();
    }
}

fn container_text(container: ContainerFormat) -> Vec<String> {
    match container {
        ContainerFormat::Struct(fields) => fields
            .into_iter()
            .map(|Named { name, value }| format!("{name}: {}", format_text(value)))
            .collect(),
        ContainerFormat::Enum(variants) => {
            let numbers: Vec<u32> = variants.keys().copied().collect();
            assert_eq!(numbers, (0..variants.len() as u32).collect::<Vec<_>>());
            variants.into_values().map(variant_text).collect()
        }
        other => panic!("the encoding has no {other:?}"),
    }
}

fn variant_text(Named { name, value }: Named<VariantFormat>) -> String {
    match value {
        VariantFormat::Unit => name,
        VariantFormat::NewType(payload) => format!("{name}({})", format_text(*payload)),
        other => panic!("the encoding has no {other:?}"),
    }
}

fn format_text(format: Format) -> String {
    match format {
        Format::TypeName(name) => name,
        Format::Bool => "bool".into(),
        Format::U8 => "u8".into(),
        Format::U32 => "u32".into(),
        Format::U64 => "u64".into(),
        Format::I64 => "i64".into(),
        Format::Str => "string".into(),
        Format::Seq(element) => format!("list<{}>", format_text(*element)),
        Format::Option(some) => format!("option<{}>", format_text(*some)),
        Format::Tuple(parts) => {
            let parts: Vec<_> = parts.into_iter().map(format_text).collect();
            format!("tuple<{}>", parts.join(", "))
        }
        other => panic!("the encoding has no {other:?}"),
    }
}

/// The names of the roots are those of the Rust types.
#[test]
fn the_messages_are_the_roots() {
    for (kebab, rust) in MESSAGES
        .into_iter()
        .zip([std::any::type_name::<SenderMessage>(), std::any::type_name::<ReceiverMessage>()])
    {
        assert!(rust.ends_with(&format!("::{}", pascal(kebab))), "{rust}");
    }
}
