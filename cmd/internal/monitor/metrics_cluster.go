package monitor

var (
	descClusterDegraded   = describe("resound_cluster_degraded", "1 while Redis is out of reach and the node goes on alone.")
	descClusterNodes      = describe("resound_cluster_nodes", "Nodes of the cluster, this one included; 0 while degraded.")
	descClusterTopics     = describe("resound_cluster_topics", "Topics of the bus that the node is subscribed to.")
	descClusterSpooled    = describe("resound_cluster_spooled_publications", "Publications that wait to be sent to other nodes.")
	descClusterPublished  = describe("resound_cluster_publications_sent_total", "Publications sent to other nodes.")
	descClusterReceived   = describe("resound_cluster_publications_received_total", "Publications of other nodes for channels watched here.")
	descClusterUnwanted   = describe("resound_cluster_publications_unwanted_total", "Publications of other nodes for channels that nobody here watches.")
	descClusterDropped    = describe("resound_cluster_publications_dropped_total", "Publications for other nodes that did not fit the spool.")
	descClusterUnkept     = describe("resound_cluster_publications_unkept_total", "Events of cache channels that were sent to other nodes and not kept, as Redis had no room.")
	descClusterUnheard    = describe("resound_cluster_publications_unheard_total", "Publications that left the spool after an outage though a node was not back.")
	descClusterJunk       = describe("resound_cluster_junk_messages_total", "Messages on the bus that were not understood.")
	descClusterFenced     = describe("resound_cluster_fenced_total", "Times the node lost its lease and stated everything again.")
	descClusterReconnects = describe("resound_cluster_reconnects_total", "Times Redis came back into reach.")
)

func (e emitter) cluster(s *Snapshot) {
	c := s.Cluster
	if c == nil {
		return
	}
	e.gauge(descClusterDegraded, boolean(s.Redis == RedisDegraded))
	e.gauge(descClusterNodes, float64(c.Nodes))
	e.gauge(descClusterTopics, float64(c.Topics))
	e.gauge(descClusterSpooled, float64(c.Spooled))
	e.count(descClusterPublished, c.Published)
	e.count(descClusterReceived, c.Received)
	e.count(descClusterUnwanted, c.Unwanted)
	e.count(descClusterDropped, c.Dropped)
	e.count(descClusterUnkept, c.Unkept)
	e.count(descClusterUnheard, c.Unheard)
	e.count(descClusterJunk, c.Junk)
	e.count(descClusterFenced, c.Fenced)
	e.count(descClusterReconnects, c.Reconnects)
}
