/** Loaded into a node that kit started: however kit ends, the node does not outlive it. */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// The node decides when it is over, not the channel to kit.
process.channel?.unref();
