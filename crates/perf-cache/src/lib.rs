//! A multi-tier cache whose invalidations are never lost.
