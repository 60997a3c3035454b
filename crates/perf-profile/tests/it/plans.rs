//! Plans read, and index advice that the planner itself confirms.

mod advice;
mod cases;
mod parsing;
mod planners;
