//! The browser's files where they are part of the program, in place of a folder.

use std::future::{Ready, ready};
use std::io::{self, Cursor, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File, Metadata};

/// As old as the program that they are part of.
static MODIFIED: LazyLock<Option<SystemTime>> =
    LazyLock::new(|| std::env::current_exe().ok()?.metadata().ok()?.modified().ok());

/// Files: the path of each, and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct Embedded(pub &'static [(&'static str, &'static [u8])]);

/// One that was found.
#[derive(Clone, Debug)]
pub struct Found(Cursor<&'static [u8]>);

impl Embedded {
    /// What a file holds.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(self, path: &Path) -> io::Result<&'static [u8]> {
        let path = path.strip_prefix(".").unwrap_or(path);
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, bytes)| *bytes).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn find(self, path: &Path) -> Ready<io::Result<Found>> {
        ready(self.read(path).map(|bytes| Found(Cursor::new(bytes))))
    }
}

impl Backend for Embedded {
    type File = Found;
    type Metadata = Found;
    type OpenFuture = Ready<io::Result<Found>>;
    type MetadataFuture = Ready<io::Result<Found>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        self.find(&path)
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        self.find(&path)
    }
}

impl Metadata for Found {
    fn is_dir(&self) -> bool {
        false
    }

    fn modified(&self) -> io::Result<SystemTime> {
        MODIFIED.ok_or_else(|| ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.0.get_ref().len() as u64
    }
}

impl File for Found {
    type Metadata = Self;
    type MetadataFuture<'a> = Ready<io::Result<Self>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.clone()))
    }
}

impl AsyncRead for Found {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncSeek for Found {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.0).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.0).poll_complete(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, header};
    use tower::ServiceExt;
    use tower_http::services::ServeDir;

    use super::*;

    const FILES: Embedded = Embedded(&[("pkg/a.js", b"let a = 1"), ("pkg/a.js.br", b"shorter")]);

    async fn get(path: &str, encodings: &str, range: &str) -> (u16, String, String) {
        let mut request = Request::get(path).header(header::ACCEPT_ENCODING, encodings);
        if !range.is_empty() {
            request = request.header(header::RANGE, range);
        }
        let files = ServeDir::with_backend("pkg", FILES).precompressed_br();
        let answer = files.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(
            answer.status().as_u16() >= 400 || answer.headers().contains_key(header::ETAG),
            "{:?}",
            answer.headers()
        );
        let kind = answer.headers().get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        let body = to_bytes(Body::new(answer.into_body()), 100).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn files_are_served_as_from_a_folder() {
        let found = |status, body: &str| (status, "text/javascript".to_owned(), body.to_owned());
        assert_eq!(get("/a.js", "gzip, br", "").await, found(200, "shorter"));
        assert_eq!(get("/a.js", "br;q=0", "").await, found(200, "let a = 1"));
        assert_eq!(get("/a.js", "", "bytes=4-6").await, found(206, "a ="));
        for path in ["/", "/b.js", "/a.js/", "/../pkg/a.js", "/pkg/a.js"] {
            assert_eq!(get(path, "", "").await.0, 404, "{path}");
        }
    }
}
