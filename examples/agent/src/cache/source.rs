use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use tokio_rustls::rustls::crypto::ring;
use ureq::{
    http::StatusCode,
    tls::{Certificate, PemItem, TlsConfig, parse_pem},
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
    /// The same over TLS, from whoever has a certificate of one of these authorities (in DER). There are none unless it
    /// [believes](Source::believes) some.
    Https(String, Vec<Vec<u8>>),
}

/// An image as its source offers it.
pub(super) struct Offered {
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) content: Box<dyn Read>,
}

/// How long a server may take for the first word.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it may say nothing in the middle of an image. A task that is told to stop notices it after this time at the latest.
const SILENCE: Duration = Duration::from_secs(15);
/// The digest and a name: a file that is longer is no such file.
const LONGEST_CHECKSUM: u64 = 4096;

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => Ok(Source::Directory(PathBuf::from(text))),
            Some(("file", path)) if path.starts_with('/') => Ok(Source::Directory(PathBuf::from(path))),
            Some(("http", rest)) if !rest.is_empty() => Ok(Source::Http(text.trim_end_matches('/').to_owned())),
            Some(("https", rest)) if !rest.is_empty() => Ok(Source::Https(text.trim_end_matches('/').to_owned(), Vec::new())),
            Some((scheme, _)) => {
                Err(format!("images come from a directory, file:///.., https://.. or http://.., and not from {scheme}://.."))
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Directory(path) => write!(f, "{}", path.display()),
            Source::Http(url) | Source::Https(url, _) => f.write_str(url),
        }
    }
}

impl Source {
    /// Believes the certificates that these authorities have signed. PEM.
    ///
    /// # Errors
    ///
    /// There is no certificate in it, one cannot be read, or this source has none to show.
    pub fn believes(self, authorities: &[u8]) -> Result<Self, String> {
        let Source::Https(url, _) = self else {
            return Err(format!("authorities of certificates are of no use to {self}: write https://"));
        };
        let mut found = Vec::new();
        for item in parse_pem(authorities) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| format!("the authorities of {url}: {error}"))? {
                found.push(certificate.der().to_vec());
            }
        }
        if found.is_empty() {
            return Err(format!("the authorities of {url}: there is no certificate in the file"));
        }
        Ok(Source::Https(url, found))
    }

    /// Whether images can be had from it, as far as that is known before.
    pub(super) fn check(&self) -> io::Result<()> {
        match self {
            Source::Https(url, authorities) if authorities.is_empty() => {
                Err(io::Error::other(format!("{url} needs to know whose certificates to believe: add --images-ca FILE")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn open(&self, id: Uuid) -> Result<Offered, ImageError> {
        match self {
            Source::Directory(directory) => from_directory(directory, id),
            Source::Http(base) => from_web(base, &[], id),
            Source::Https(base, authorities) => from_web(base, authorities, id),
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

fn from_web(base: &str, authorities: &[Vec<u8>], id: Uuid) -> Result<Offered, ImageError> {
    let tls = TlsConfig::builder()
        .root_certs(authorities.iter().map(|der| Certificate::from_der(der).to_owned()).into())
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(SILENCE))
        // Elsewhere is not where the command line said.
        .max_redirects(0)
        .build()
        .into();
    let get = |kind: &str| {
        let url = format!("{base}/{id}.{kind}");
        let answer = agent.get(&url).call().map_err(|error| match error {
            ureq::Error::StatusCode(404 | 410) => ImageError::NotFound { image_id: id, why: format!("{url} is not there") },
            error => ImageError::Io { image_id: id, doing: format!("getting {url}"), error: error.to_string() },
        })?;
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let error = format!("the server answers {}, and not with the file itself", answer.status());
        Err(ImageError::Io { image_id: id, doing: format!("getting {url}"), error })
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
