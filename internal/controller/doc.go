// Package controller decides what the network should be and tells each node.
//
// It holds the World in memory as the store's watch reports it and changes it in no
// other way. A change of intent is admitted against that World (defaults, addresses,
// every rule between objects), committed to the store in one transaction, and comes
// back by the watch. Then the wanted state of the nodes that it concerns is compiled
// anew and sent to the agents that follow them; what they report is kept in memory.
//
// Several controllers may run on one store: a change that lost the race is admitted
// again against the newer World. They do not tell each other what nodes report: status
// and waits know only the nodes whose agents follow the controller that is asked, and
// show the others as not connected. So with several controllers let all agents, and
// whoever waits, use the same one, and let the others stand by.
package controller
