use rmi_core::remote;

type Failure = std::convert::Infallible;

pub struct Bone;

#[remote]
pub trait Dog {
    async fn dig(&self) -> Result<Bone, Failure>;
}

fn main() {}
