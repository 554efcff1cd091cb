// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0

// What the kernel knows of every thread, in one read; and the bytes that go through
// sockets, by process. Field offsets are those of the kernel that loads it (CO-RE), so
// the structures below have only the fields that are read.
//
// Build with ./build after each change; the object is committed.

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// The kernel lends its helpers to programs that may be had under this licence.
char gpl[] SEC("license") = "GPL";
// By this a test knows whether the object is that of this text.
const char made_of[] SEC("source") = SOURCE;

#define kernel __attribute__((preserve_access_index))

struct upid {
	int nr;
} kernel;
struct pid {
	unsigned int level;
	struct upid numbers[1];
} kernel;
struct task_io_accounting {
	__u64 read_bytes, write_bytes;
} kernel;
struct signal_struct {
	int nr_threads;
	struct pid *pids[4];
	unsigned long min_flt, maj_flt;
	struct task_io_accounting ioac;
	unsigned long long sum_sched_runtime;
} kernel;
struct sched_entity {
	__u64 sum_exec_runtime;
} kernel;
struct percpu_counter {
	__s64 count;
} kernel;
struct mm_struct {
	unsigned long total_vm;
	struct percpu_counter rss_stat[4]; // before 6.2: of numbers
} kernel;
struct task_struct {
	unsigned int __state; // before 5.14: state
	int exit_state;
	unsigned int flags;
	int static_prio;
	int pid, tgid;
	struct sched_entity se;
	struct mm_struct *mm;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	unsigned long min_flt, maj_flt;
	char comm[16];
	struct signal_struct *signal;
	struct task_io_accounting ioac;
} kernel;

struct task_struct___old {
	long state;
} kernel;
struct mm_rss_stat {
	long count[4];
} kernel;
struct mm_struct___old {
	struct mm_rss_stat rss_stat;
} kernel;

struct sock_common {
	unsigned short skc_family;
} kernel;
struct sock {
	struct sock_common __sk_common;
} kernel;

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} kernel;
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} kernel;

// traffic is what a process has sent and received since the programs were attached.
struct traffic {
	__u64 rx, tx;
};

// sockets holds it with the process itself, so that it ends with it.
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct traffic);
} sockets SEC(".maps");

// thread is a record of each thread. What has ended is the process's sum over threads
// that are no more. ../bpf.go has the same.
struct thread {
	__u32 tgid;
	__u32 leader; // whether the rest of a process follows
	__u64 runtime, faults, read, write;
	__u64 ended_runtime, ended_faults, ended_read, ended_write;
	__u64 threads;
};

struct process {
	struct thread thread;
	__u32 parent, state, exit_state, flags;
	__s64 nice;
	__u64 start;            // nanoseconds since boot
	__u64 virtual, resident; // pages; the second roughly
	__u64 changing;         // whether its memory was taken from it meanwhile
	struct traffic traffic;
	char comm[16];
};

#define PF_KTHREAD 0x00200000
#define PIDTYPE_TGID 1

// number is a PID in the namespace that is level deep, 0 if it has none there.
static __u32 number(struct pid *pid, unsigned int level)
{
	int nr = 0;

	if (!pid || pid->level < level)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr),
		(char *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid));
	return nr;
}

static __u64 roughly_resident(struct mm_struct *mm)
{
	long old[4] = {};

	if (bpf_core_type_exists(struct mm_rss_stat)) {
		bpf_probe_read_kernel(old, sizeof(old), (char *)mm + bpf_core_field_offset(struct mm_struct___old, rss_stat));
		return old[0] + old[1] + old[3];
	}
	// File pages, anonymous ones and shared ones; 2 is swap.
	return mm->rss_stat[0].count + mm->rss_stat[1].count + mm->rss_stat[3].count;
}

static void memory(struct task_struct *t, struct process *p)
{
	struct mm_struct *mm = t->mm;

	if (!mm || t->flags & PF_KTHREAD)
		return;
	p->virtual = mm->total_vm;
	p->resident = roughly_resident(mm);
	// Nobody holds it for us. While it is the task's, it is not freed.
	p->changing = *(struct mm_struct *volatile *)&t->mm != mm;
}

static void whole(struct task_struct *t, struct process *p, unsigned int level)
{
	struct traffic *traffic;

	p->parent = number(t->real_parent->signal->pids[PIDTYPE_TGID], level);
	if (bpf_core_field_exists(t->__state))
		p->state = t->__state;
	else
		p->state = ((struct task_struct___old *)t)->state;
	p->exit_state = t->exit_state;
	p->flags = t->flags;
	p->nice = t->static_prio - 120;
	p->start = t->start_boottime;
	memory(t, p);
	traffic = bpf_task_storage_get(&sockets, t, 0, 0);
	if (traffic)
		p->traffic = *traffic;
	bpf_probe_read_kernel(p->comm, sizeof(p->comm), t->comm);
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task, *self;
	struct process p = {};
	struct signal_struct *s;
	unsigned int level;

	if (!t)
		return 0;
	self = bpf_get_current_task_btf();
	level = self->thread_pid->level;
	s = t->signal;
	p.thread.tgid = number(s->pids[PIDTYPE_TGID], level);
	p.thread.threads = s->nr_threads;
	if (!p.thread.tgid)
		return 0; // it is gone
	p.thread.runtime = t->se.sum_exec_runtime;
	p.thread.faults = t->min_flt + t->maj_flt;
	p.thread.read = t->ioac.read_bytes;
	p.thread.write = t->ioac.write_bytes;
	p.thread.ended_runtime = s->sum_sched_runtime;
	p.thread.ended_faults = s->min_flt + s->maj_flt;
	p.thread.ended_read = s->ioac.read_bytes;
	p.thread.ended_write = s->ioac.write_bytes;
	if (t->pid != t->tgid) {
		bpf_seq_write(ctx->meta->seq, &p, sizeof(p.thread));
		return 0;
	}
	p.thread.leader = 1;
	whole(t, &p, level);
	bpf_seq_write(ctx->meta->seq, &p, sizeof(p));
	return 0;
}

// count adds to what the calling process has sent or received.
static int count(__u64 rx, __u64 tx)
{
	struct task_struct *self = bpf_get_current_task_btf();
	struct traffic *t = bpf_task_storage_get(&sockets, self->group_leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (t && rx)
		__sync_fetch_and_add(&t->rx, rx);
	if (t && tx)
		__sync_fetch_and_add(&t->tx, tx);
	return 0;
}

// What is only looked at is received again, and a queue of errors has what was sent.
#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000

static int received(int n, int flags)
{
	return n > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE)) ? count(n, 0) : 0;
}

static int sent(int n)
{
	return n > 0 ? count(0, n) : 0;
}

#define AF_INET 2
#define AF_INET6 10

static int internet(struct sock *sk)
{
	unsigned short family = sk->__sk_common.skc_family;

	return family == AF_INET || family == AF_INET6;
}

// From 6.3 on there are tracepoints: of the socket, the result, the flags.
SEC("tp_btf/sock_send_length")
int sock_send_length(__u64 *ctx) { return internet((void *)ctx[0]) ? sent(ctx[1]) : 0; }
SEC("tp_btf/sock_recv_length")
int sock_recv_length(__u64 *ctx) { return internet((void *)ctx[0]) ? received(ctx[1], ctx[2]) : 0; }

// Before, the results of these functions, which stand behind their arguments.
SEC("fexit/inet_sendmsg")
int inet_sendmsg(__u64 *ctx) { return sent(ctx[3]); }
SEC("fexit/inet6_sendmsg")
int inet6_sendmsg(__u64 *ctx) { return sent(ctx[3]); }
SEC("fexit/inet_recvmsg")
int inet_recvmsg(__u64 *ctx) { return received(ctx[4], ctx[3]); }
SEC("fexit/inet6_recvmsg")
int inet6_recvmsg(__u64 *ctx) { return received(ctx[4], ctx[3]); }
SEC("fexit/inet_sendpage")
int inet_sendpage(__u64 *ctx) { return sent(ctx[5]); }
