use rmi_core::remote;

type Failure = std::convert::Infallible;

#[derive(Clone)]
pub struct Bone;

#[remote]
pub trait Dog {
    async fn bark(&self, bone: &Bone) -> Result<(), Failure>;
}

fn main() {}
