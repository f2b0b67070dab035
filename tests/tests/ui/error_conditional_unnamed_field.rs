use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[error("bad")]
pub struct Bad(#[cfg(all())] u8, u8);

fn main() {}
