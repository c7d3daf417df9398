//! The response to the program of a page: see [`wire`](crate::model::wire).

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::model::wire;

/// A value as the program of a page decodes it. The counterpart of [`axum::Json`].
pub struct Wire<T>(pub T);

impl<T: Serialize> IntoResponse for Wire<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, wire::MEDIA_TYPE)], wire::encode(&self.0)).into_response()
    }
}
