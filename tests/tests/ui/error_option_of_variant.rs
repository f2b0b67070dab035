use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
#[remote(skip)]
pub enum Bad {
    #[error("bad")]
    Worse,
}

fn main() {}
