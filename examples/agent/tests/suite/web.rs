//! Images from the web: over TLS, from whom the command line believes, and from nowhere else.

use std::{
    collections::HashSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::Arc,
    thread,
};

use agent::{
    cache::{Cache, Kept, Source},
    contract::ImageError,
    work::Meter,
};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use uuid::Uuid;

use crate::{
    certificates::issue,
    world::{MIB, Machine, Plain, noise, sha256},
};

/// A web server over TLS. `answers` has the bytes for a path. It serves as long as the test runs.
fn web(directory: &Path, answers: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let chain = CertificateDer::pem_file_iter(directory.join("127.0.0.1.crt")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(directory.join("127.0.0.1.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            if let Some(path) = head.split(' ').nth(1) {
                let _ = stream.write_all(&answers(path));
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    format!("https://{address}")
}

fn found(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ensure(machine: &Machine, source: Source, id: Uuid) -> Result<Kept, ImageError> {
    let cache = Cache::open(machine.path("cache"), 64 * MIB, Some(source)).unwrap();
    cache.ensure(id, &HashSet::new(), &mut Meter::new(&Plain::default(), 0))
}

#[test]
fn images_come_from_whose_certificate_is_believed() {
    let (machine, others) = (Machine::new(), Machine::new());
    issue(machine.dir.path(), &["127.0.0.1"]);
    issue(others.dir.path(), &["127.0.0.1"]);
    let (id, bytes) = (Uuid::new_v4(), noise(300_000, 3));
    let (image, checksum) = (found(&bytes), found(sha256(&bytes).as_bytes()));
    let url = web(machine.dir.path(), move |path| if path.ends_with(".img") { image.clone() } else { checksum.clone() });
    let source = |authority: &Path| url.parse::<Source>().unwrap().believes(&fs::read(authority).unwrap()).unwrap();

    let error = ensure(&machine, source(&others.path("ca.crt")), id).unwrap_err();
    assert!(matches!(&error, ImageError::Io { error, .. } if error.contains("certificate")), "{error}");
    assert_eq!(ensure(&machine, source(&machine.path("ca.crt")), id), Ok(Kept::Fetched(300_000)));

    let error = Cache::open(others.path("cache"), MIB, Some(url.parse().unwrap())).unwrap_err();
    assert!(error.to_string().contains("--images-ca FILE"), "{error}");
    let parse = |text: &str| text.parse::<Source>().unwrap();
    let refused = parse(&url).believes(&fs::read(machine.path("127.0.0.1.pem")).unwrap()).unwrap_err();
    assert!(refused.contains("there is no certificate"), "{refused}");
    let refused = parse("http://10.0.0.1/").believes(&fs::read(machine.path("ca.crt")).unwrap()).unwrap_err();
    assert!(refused.contains("write https://"), "{refused}");
}

/// The command line has named one place: what that says about others is not followed.
#[test]
fn a_redirection_is_not_followed() {
    let machine = Machine::new();
    issue(machine.dir.path(), &["127.0.0.1"]);
    let url = web(machine.dir.path(), |_| {
        let digest = "0".repeat(64);
        let head = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 64\r\nconnection: close\r\n\r\n";
        [head.as_bytes(), digest.as_bytes()].concat()
    });
    let source = url.parse::<Source>().unwrap().believes(&fs::read(machine.path("ca.crt")).unwrap()).unwrap();
    let error = ensure(&machine, source, Uuid::new_v4()).unwrap_err();
    assert!(matches!(&error, ImageError::Io { error, .. } if error.contains("302")), "{error}");
}
