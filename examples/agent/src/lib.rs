//! The provisioning agent: it runs on a machine that waits for its work, and does what its server tells it.
//!
//! [`contract`] says what that is; [`Provisioner`] does it. Each piece of real work stands by itself: [`device`] has the disks,
//! [`erase`] overwrites them, [`cache`] keeps images, [`prepare`] writes one to a disk, [`config_drive`] makes what it is told,
//! [`launch`] runs it, [`qc`] and [`firmware`] look at the machine. All of them are plain functions that block; [`task`] keeps them away
//! from the asynchronous threads, reports how far they are, and tells them to stop.

pub mod cache;
pub mod command;
pub mod config_drive;
pub mod contract;
pub mod ctl;
pub mod demo;
pub mod device;
pub mod erase;
pub mod firmware;
pub mod launch;
pub mod operator;
pub mod options;
pub mod order;
pub mod prepare;
mod provisioner;
pub mod qc;
pub mod run;
pub mod serve;
pub mod system;
pub mod task;
pub mod work;

pub use self::provisioner::{Parts, Provisioner};
