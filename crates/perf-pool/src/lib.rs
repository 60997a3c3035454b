//! The connection and object pool that cannot wedge.
