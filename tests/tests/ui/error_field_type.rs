use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[error("bad")]
pub struct Bad {
    teeth: Teeth,
}

#[derive(Debug)]
pub struct Teeth;

fn main() {}
