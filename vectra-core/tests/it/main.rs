//! The crate as others see it.

mod aligned_memory;
mod background;
mod crash_safety;
mod determinism;
mod exact_search;
mod growing;
mod kernels;
mod names_of_items;
mod os_files;
mod ranking;
mod same_file_systems;
mod sim_disk;
mod value_laws;
