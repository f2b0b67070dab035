#[derive(RemoteError)]
#[error("the pool {pool_name} is full")]
#[remote(rename_all = "camelCase", class = "pools.PoolFull", module = "dhcp")]
pub struct PoolFull {
    pool_name: String,
    #[remote(name = "capacity")]
    size: u32,
}

#[derive(RemoteError)]
#[error("the pool is gone")]
#[remote(name = "Gone")]
pub struct PoolIsGone;
