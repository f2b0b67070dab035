use rmi_core::RemoteError;

#[derive(Debug, thiserror::Error, RemoteError)]
pub enum Bad {
    #[error("bad")]
    Worse {
        a: u8,
        #[remote(name = "a")]
        b: u8,
    },
}

fn main() {}
