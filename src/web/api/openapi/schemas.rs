//! Schemas that several bodies or parameters share.

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Schema, SchemaFormat};

use crate::model::employees::Department;

/// An object rejects fields that it does not list.
pub const NOTHING_ELSE: AdditionalProperties<Schema> = AdditionalProperties::FreeForm(false);

/// Returns a string with these values.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    text().enum_values(Some(words)).build()
}

pub fn department() -> Object {
    one_of(Department::ALL.map(Department::as_str))
}

/// Control characters, invisible ones, and those that change the direction, up to four hex digits. The server knows more of
/// them, and accepts some that scripts need between letters.
const HIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff";

/// Returns a name of 1 to 100 characters: at least one is visible, and none is hidden.
pub fn name() -> Object {
    let pattern = format!(r"^[^{HIDDEN}]*[^\s\u2800{HIDDEN}][^{HIDDEN}]*$");
    text().min_length(Some(1)).max_length(Some(100)).pattern(Some(pattern)).build()
}

pub fn salary() -> Object {
    whole(0, i32::MAX)
}

/// Returns an integer between two bounds.
pub fn whole(least: i32, most: i32) -> Object {
    let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most));
    whole.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32))).build()
}

pub fn id() -> Object {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).min_length(Some(36)).max_length(Some(36)).build()
}

pub fn slug() -> Object {
    text().min_length(Some(2)).max_length(Some(40)).pattern(Some("^[a-z][a-z0-9-]*$")).build()
}

/// Returns the name of a scope, built-in or registered.
pub fn scope() -> Object {
    text().max_length(Some(81)).pattern(Some("^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$")).build()
}

/// Returns the slug of a registered API.
pub fn api_slug() -> Object {
    text().min_length(Some(1)).max_length(Some(40)).pattern(Some("^[a-z][a-z0-9-]*$")).build()
}

/// Returns rows of a department and a figure. Few client generators read `prefixItems`, so both columns share one schema.
fn figures(about: &str, kind: Type, format: KnownFormat) -> Array {
    let figure = ObjectBuilder::new().schema_type(kind).format(Some(SchemaFormat::KnownFormat(format)));
    let column = AnyOfBuilder::new().item(any_text()).item(figure);
    let row = ArrayBuilder::new().items(column).min_items(Some(2)).max_items(Some(2));
    ArrayBuilder::new().items(row).description(Some(about)).build()
}

pub fn total_costs() -> Array {
    figures("Department and sum of salaries.", Type::Integer, KnownFormat::Int64)
}

pub fn average_salaries() -> Array {
    figures("Department and average salary.", Type::Number, KnownFormat::Double)
}

pub fn headcounts() -> Array {
    figures("Department and number of employees.", Type::Integer, KnownFormat::Int64)
}

pub fn any_text() -> Object {
    text().build()
}

/// Returns a field that only the server writes; in a request body it is ignored.
pub fn read_only() -> Object {
    let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue).read_only(true);
    any.description(Some("Written by the server. Ignored in a request body.")).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
