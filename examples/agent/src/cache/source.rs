use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use uuid::Uuid;

use crate::contract::ImageError;

/// Where images come from: for each of them `<uuid>.img`, and `<uuid>.sha256` as `sha256sum` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory.
    Directory(PathBuf),
    /// The URL of one, without its last `/`. Plain HTTP: what comes is only as true as its checksum, which comes the same way. Use
    /// it in a network that you trust.
    Http(String),
}

/// An image as its source offers it.
pub(super) struct Offered {
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) content: Box<dyn Read>,
}

/// How long a server may take for the first word.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it may take for an image.
const BODY: Duration = Duration::from_secs(3600);
/// The digest and a name: a file that is longer is no such file.
const LONGEST_CHECKSUM: u64 = 4096;

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => Ok(Source::Directory(PathBuf::from(text))),
            Some(("file", path)) if path.starts_with('/') => Ok(Source::Directory(PathBuf::from(path))),
            Some(("http", rest)) if !rest.is_empty() => Ok(Source::Http(text.trim_end_matches('/').to_owned())),
            Some((scheme, _)) => {
                Err(format!("images come from a directory, file:///.. or http://.., and not from {scheme}://.."))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Directory(path) => write!(f, "{}", path.display()),
            Source::Http(url) => f.write_str(url),
        }
    }
}

impl Source {
    pub(super) fn open(&self, id: Uuid) -> Result<Offered, ImageError> {
        match self {
            Source::Directory(directory) => from_directory(directory, id),
            Source::Http(base) => from_http(base, id),
        }
    }
}

fn from_directory(directory: &Path, id: Uuid) -> Result<Offered, ImageError> {
    let open = |name: String| {
        let path = directory.join(name);
        File::open(&path).map_err(|error| {
            let why = format!("{}: {error}", path.display());
            if error.kind() == io::ErrorKind::NotFound {
                ImageError::NotFound { image_id: id, why }
            } else {
                ImageError::Io { image_id: id, doing: "opening it".to_owned(), error: why }
            }
        })
    };
    let sha256 = checksum(id, open(format!("{id}.sha256"))?)?;
    let image = open(format!("{id}.img"))?;
    let metadata = image.metadata().map_err(|error| super::failed(id, "opening it", &error))?;
    if !metadata.is_file() {
        return Err(ImageError::NotFound { image_id: id, why: "what has its name is no file".to_owned() });
    }
    Ok(Offered { size: metadata.len(), sha256, content: Box::new(image) })
}

fn from_http(base: &str, id: Uuid) -> Result<Offered, ImageError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_recv_body(Some(BODY))
        .max_redirects(0)
        .build()
        .into();
    let get = |kind: &str| {
        let url = format!("{base}/{id}.{kind}");
        agent.get(&url).call().map_err(|error| match error {
            ureq::Error::StatusCode(404 | 410) => ImageError::NotFound { image_id: id, why: format!("{url} is not there") },
            error => ImageError::Io { image_id: id, doing: format!("getting {url}"), error: error.to_string() },
        })
    };
    let sha256 = checksum(id, get("sha256")?.into_body().into_reader())?;
    let image = get("img")?;
    let size = image.body().content_length().ok_or_else(|| ImageError::Io {
        image_id: id,
        doing: "getting it".to_owned(),
        error: "the server does not say how long it is (Content-Length)".to_owned(),
    })?;
    Ok(Offered { size, sha256, content: Box::new(image.into_body().into_reader()) })
}

/// The first word of the text, which is 64 hexadecimal digits.
fn checksum(id: Uuid, text: impl Read) -> Result<String, ImageError> {
    let mut read = String::new();
    text.take(LONGEST_CHECKSUM).read_to_string(&mut read).map_err(|error| super::failed(id, "reading its checksum", &error))?;
    let word = read.split_whitespace().next().unwrap_or_default();
    if word.len() != 64 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let why = "its checksum is no SHA-256 as `sha256sum` writes it".to_owned();
        return Err(ImageError::NotFound { image_id: id, why });
    }
    Ok(word.to_ascii_lowercase())
}
