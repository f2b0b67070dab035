use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[error("bad")]
pub struct Bad(#[remote(name = "a")] u8);

fn main() {}
