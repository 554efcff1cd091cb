package compare

import "sarn/internal/problem"

// Problem is what is wrong with one field of a config.
type Problem = problem.Problem

// Problems is a list of them, as an error.
type Problems = problem.Problems
