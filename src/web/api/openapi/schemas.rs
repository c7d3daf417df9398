//! Schemas that more than one body or parameter has.

use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Schema, SchemaFormat};

use crate::model::employees::Department;

/// Of an object: fields that it does not list are refused.
pub const NOTHING_ELSE: AdditionalProperties<Schema> = AdditionalProperties::FreeForm(false);

/// One of some words.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    text().enum_values(Some(words)).build()
}

/// A department's short name.
pub fn department() -> Object {
    one_of(Department::ALL.map(Department::as_str))
}

/// Control characters, and those that are not shown or change the direction, as far as they have four digits. Programs that read the
/// description need not know those with more, and what a script needs between its letters is taken although it stands here.
const HIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff";

/// A name of 1 to 100 characters, of which one at least is shown and none is hidden.
pub fn name() -> Object {
    let pattern = format!(r"^[^{HIDDEN}]*[^\s\u2800{HIDDEN}][^{HIDDEN}]*$");
    text().min_length(Some(1)).max_length(Some(100)).pattern(Some(pattern)).build()
}

/// A yearly salary.
pub fn salary() -> Object {
    whole(0, i32::MAX)
}

/// A whole number.
pub fn whole(least: i32, most: i32) -> Object {
    let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least)).maximum(Some(most));
    whole.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32))).build()
}

/// An id.
pub fn id() -> Object {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).min_length(Some(36)).max_length(Some(36)).build()
}

/// A team's part of an address.
pub fn slug() -> Object {
    text().min_length(Some(2)).max_length(Some(40)).pattern(Some("^[a-z][a-z0-9-]*$")).build()
}

/// Rows of two columns, of which the first is a department. The kinds of the columns are given together: what says which is
/// which (`prefixItems`) is read by few generators of clients.
fn figures(about: &str, kind: Type, format: KnownFormat) -> Array {
    let figure = ObjectBuilder::new().schema_type(kind).format(Some(SchemaFormat::KnownFormat(format)));
    let column = AnyOfBuilder::new().item(any_text()).item(figure);
    let row = ArrayBuilder::new().items(column).min_items(Some(2)).max_items(Some(2));
    ArrayBuilder::new().items(row).description(Some(about)).build()
}

/// What each department costs.
pub fn total_costs() -> Array {
    figures("Department and sum of salaries.", Type::Integer, KnownFormat::Int64)
}

/// What people earn in each department.
pub fn average_salaries() -> Array {
    figures("Department and average salary.", Type::Number, KnownFormat::Double)
}

/// How many people are in each department.
pub fn headcounts() -> Array {
    figures("Department and number of employees.", Type::Integer, KnownFormat::Int64)
}

/// Any string.
pub fn any_text() -> Object {
    text().build()
}

/// A field that only the server writes, and that is not looked at in a body.
pub fn read_only() -> Object {
    let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue).read_only(true);
    any.description(Some("Written by the server. May be sent back, and is not looked at.")).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
