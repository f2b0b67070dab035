use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    Worse { trace: String },
}

fn main() {}
