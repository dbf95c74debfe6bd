//! Properties of routers, maps and sets, seen from outside.

mod merging;
mod routing;
