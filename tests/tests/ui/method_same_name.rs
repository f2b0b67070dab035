use rmi_core::remote;

type Failure = std::convert::Infallible;

#[remote(rename_all = "camelCase")]
pub trait Dog {
    async fn bark_loudly(&self) -> Result<(), Failure>;

    #[remote(name = "barkLoudly")]
    async fn shout(&self) -> Result<(), Failure>;
}

fn main() {}
