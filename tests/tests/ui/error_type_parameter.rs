use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[error("bad")]
pub struct Bad<T>(T);

fn main() {}
