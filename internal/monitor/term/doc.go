// Package term is the monitor's terminal view: it shows the samples of a Source on the
// whole screen, and hands what a person asks for (kill, renice) to Actions. It knows
// neither where samples come from nor whether the machine is this one.
//
// The screen is a grid of cells. Every change of state draws the whole grid in memory,
// and only the cells that differ from what the terminal shows are handed to tcell, which
// sends them with the shortest cursor moves, in one write. That is why tcell and not a
// library that compares lines: over slow SSH a quiet refresh is the digits that changed,
// some hundred bytes, where the screen has several thousand. (tcell's own Clear marks each cell
// as changed, so the grid is compared here.) Bars and trees are ASCII, a byte a cell,
// and are the same in every terminal and locale.
//
// Meaning is never by colour alone: the parts of a bar have letters of their own, what
// is too much carries a "!", the selection is reversed, the sorted column is underlined
// and has an arrow. Colours are Okabe and Ito's, as in internal/graph.
//
// Names come from processes, guests and other machines, and may hold anything. What a
// terminal could take for a command is written as an escape, and text is cut by the
// width that it takes on the screen.
//
// The past is shown by the same code: a record of history has a sample in it. What is
// wanted of it is a question that follows from the state, asked by one goroutine (the
// historian) with a deadline; answers are taken as they come.
//
// One goroutine (Run's) owns the state; one asks the source, one the history, one reads
// the keyboard, one writes to the terminal, which may stall, and an action has one while
// it runs.
package term
