//! Drives the built program in folders of its own.
#![allow(clippy::disallowed_methods, reason = "tests of a program make real files")]

mod files;
mod run;

mod demo;
mod happy;
mod keep;
mod locked;
mod quantize;
mod refused;
mod resume;
