use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    #[remote(rename = "worse")]
    Worse,
}

fn main() {}
