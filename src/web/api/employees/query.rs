//! Query string of a list: `?page=…&ordering=…`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::openapi::path::ParameterIn;

use crate::error::AppError;
use crate::model::employees::Department;
use crate::model::fields::FieldErrors;
use crate::model::redact::redact;
use crate::server::employees::{Order, Query};
use crate::server::state::AppState;
use crate::web::api::openapi::{OperationInput, OperationSpec, parameter, schemas};

const NO_PAGE: &str = "Give a page as a whole number from 1.";
const PAGE_SIZE: u32 = 100;
const PAGE_SIZE_MAX: u32 = 200;

/// Query of a list, and the original parameters for the links.
pub struct Params {
    pub(super) query: Query,
    pairs: Vec<(String, String)>,
}

impl FromRequestParts<AppState> for Params {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, AppError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl OperationInput for Params {
    fn describe(operation: &mut OperationSpec) {
        let mut page_size = schemas::whole(1, i32::MAX);
        (page_size.maximum, page_size.format) = (Some(u32::MAX.into()), None);
        page_size.default = Some(PAGE_SIZE.into());
        let ordering = schemas::one_of(Order::NAMES.iter().copied());
        let department = schemas::one_of(Department::ALL.map(Department::as_str).into_iter().chain([""]));
        for (name, about, schema) in [
            ("page", "Number of the page, from 1. A page after the last is not found.", schemas::whole(1, i32::MAX)),
            ("page_size", "Employees on a page; at most 200.", page_size),
            ("ordering", "Field to sort by, with `-` in descending order. The default is `created_at`.", ordering),
            ("department", "Only employees of this department; all if empty.", department),
            ("search", "Only employees whose name contains this text; case is ignored.", schemas::any_text()),
        ] {
            operation.parameter(parameter(ParameterIn::Query, name, about, schema));
        }
        operation.error(FieldErrors::one("page", NO_PAGE).into());
        operation.error(AppError::NotFound);
    }
}

impl Params {
    fn parse(raw: &str) -> Result<Self, AppError> {
        let pairs: Vec<_> = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        let mut query =
            Query { department: None, search: String::new(), order: Order::Created, page: 1, page_size: PAGE_SIZE };
        let mut errors = FieldErrors::default();
        for (name, value) in &pairs {
            match name.as_str() {
                "page" => query.page = errors.take(name, page(value)).unwrap_or(1),
                "page_size" => query.page_size = errors.take(name, page_size(value)).unwrap_or(PAGE_SIZE),
                "department" if value.is_empty() => query.department = None,
                "department" => query.department = errors.take(name, Department::parse(value)),
                "ordering" => query.order = errors.take(name, order(value)).unwrap_or(Order::Created),
                "search" => query.search.clone_from(value),
                _ => {} // Other parameters, such as a cache buster, are ignored.
            }
        }
        match query.page {
            _ if !errors.is_empty() => Err(errors.into()),
            0 => Err(AppError::NotFound),
            _ => Ok(Self { query, pairs }),
        }
    }

    /// Returns the query string of another page of the same list.
    pub(super) fn at_page(&self, page: u32) -> String {
        // A key in the URL must not get into the link.
        let others = self.pairs.iter().filter(|(name, _)| name != "page");
        let others = others.map(|(name, value)| (redact(name), redact(value)));
        let mut query = url::form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        query.extend_pairs(others).append_pair("page", &page.to_string());
        query.finish()
    }
}

/// Parses a page number. A number below 1 becomes 0.
fn page(raw: &str) -> Result<u32, String> {
    let number: i64 = raw.parse().map_err(|_| NO_PAGE.to_owned())?;
    Ok(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

fn page_size(raw: &str) -> Result<u32, String> {
    match raw.parse::<u32>() {
        Ok(0) | Err(_) => Err(format!("Give a page size from 1 to {PAGE_SIZE_MAX}.")),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
    }
}

fn order(raw: &str) -> Result<Order, String> {
    Order::parse(raw).ok_or_else(|| format!("Choose one of {}.", Order::NAMES.join(", ")))
}
