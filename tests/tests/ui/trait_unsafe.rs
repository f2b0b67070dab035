use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote]
pub unsafe trait Dog {
    async fn bark(&self) -> Result<(), Failure>;
}

fn main() {}
