/* Holds a pod's namespaces: sleeps, collects orphaned children, leaves when asked. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int signal_number) { _exit(signal_number == SIGINT ? 130 : 0); }

static void collect(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction on_child = {.sa_handler = collect, .sa_flags = SA_NOCLDSTOP | SA_RESTART};
  signal(SIGINT, leave);
  signal(SIGTERM, leave);
  sigaction(SIGCHLD, &on_child, 0);
  for (;;) pause();
}
