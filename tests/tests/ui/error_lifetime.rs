use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[error("bad")]
pub struct Bad<'a>(&'a str);

fn main() {}
