//! Embedded files as a backend of tower-http's `ServeDir`.

use std::future::{Ready, ready};
use std::io::{self, Cursor, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File, Metadata};

/// Modification time of the program, used for all files.
static MODIFIED: LazyLock<Option<SystemTime>> =
    LazyLock::new(|| std::env::current_exe().ok()?.metadata().ok()?.modified().ok());

/// Embedded files: paths and contents.
#[derive(Clone, Copy, Debug)]
pub struct Embedded(pub &'static [(&'static str, &'static [u8])]);

/// Open embedded file.
#[derive(Clone, Debug)]
pub struct EmbeddedFile(Cursor<&'static [u8]>);

impl Embedded {
    /// Takes files that are compressed with Brotli, and adds each without `.br`. Called once: the files are never freed.
    pub fn decompress(compressed: &[(&'static str, &'static [u8])]) -> Self {
        let mut files = compressed.to_vec();
        for &(path, mut bytes) in compressed {
            let mut plain = Vec::new();
            // One that fails is reported as missing.
            if brotli_decompressor::BrotliDecompress(&mut bytes, &mut plain).is_ok() {
                files.push((path.trim_end_matches(".br"), plain.leak()));
            }
        }
        Self(files.leak())
    }

    /// Returns the content of a file.
    pub fn read(self, path: &Path) -> io::Result<&'static [u8]> {
        let path = path.strip_prefix(".").unwrap_or(path);
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, bytes)| *bytes).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn open_file(self, path: &Path) -> Ready<io::Result<EmbeddedFile>> {
        ready(self.read(path).map(|bytes| EmbeddedFile(Cursor::new(bytes))))
    }
}

impl Backend for Embedded {
    type File = EmbeddedFile;
    type Metadata = EmbeddedFile;
    type OpenFuture = Ready<io::Result<EmbeddedFile>>;
    type MetadataFuture = Ready<io::Result<EmbeddedFile>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        self.open_file(&path)
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        self.open_file(&path)
    }
}

impl Metadata for EmbeddedFile {
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

impl File for EmbeddedFile {
    type Metadata = Self;
    type MetadataFuture<'a> = Ready<io::Result<Self>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.clone()))
    }
}

impl AsyncRead for EmbeddedFile {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncSeek for EmbeddedFile {
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

    /// "let a = 1", compressed.
    const COMPRESSED: &[u8] = &[11, 4, 128, 108, 101, 116, 32, 97, 32, 61, 32, 49, 3];

    async fn get(path: &str, encodings: &str, range: &str) -> (u16, String, Vec<u8>) {
        let mut request = Request::get(path).header(header::ACCEPT_ENCODING, encodings);
        if !range.is_empty() {
            request = request.header(header::RANGE, range);
        }
        let files = Embedded::decompress(&[("pkg/a.js.br", COMPRESSED)]);
        let files = ServeDir::with_backend("pkg", files).precompressed_br();
        let answer = files.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(
            answer.status().as_u16() >= 400 || answer.headers().contains_key(header::ETAG),
            "{:?}",
            answer.headers()
        );
        let kind = answer.headers().get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        let body = to_bytes(Body::new(answer.into_body()), 100).await.unwrap();
        (status, kind, body.to_vec())
    }

    #[tokio::test]
    async fn embedded_files_are_served_like_a_folder() {
        let found = |status, body: &[u8]| (status, "text/javascript".to_owned(), body.to_owned());
        assert_eq!(get("/a.js", "gzip, br", "").await, found(200, COMPRESSED));
        assert_eq!(get("/a.js", "br;q=0", "").await, found(200, b"let a = 1"));
        assert_eq!(get("/a.js", "", "bytes=4-6").await, found(206, b"a ="));
        for path in ["/", "/b.js", "/a.js/", "/../pkg/a.js", "/pkg/a.js"] {
            assert_eq!(get(path, "", "").await.0, 404, "{path}");
        }
    }
}
