#![doc = include_str!("../../../docs/guide/paginate.md")]
