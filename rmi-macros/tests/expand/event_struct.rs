#[derive(RemoteEvent)]
#[remote(key = "lease.{node}", crate = "elsewhere::rmi")]
pub struct Leased {
    node: NodeId,
    ip: Ipv4Addr,
}
