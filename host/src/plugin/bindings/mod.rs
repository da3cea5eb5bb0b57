//! Generated code for the plugin interface, one file a WIT version.

pub(super) mod v0_1;
