use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub trait Dog {
    thread_local!();

    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
