/* SPDX-License-Identifier: MIT */
#include "client/command/command.h"

const BgCommand bg_commands[] = {
        { "top", "the leaderboard, live",
          "Examples:\n"
          "  burgeon top                         live in the terminal; q quits\n"
          "  burgeon top --sort growth           by new children of the last 30 days\n"
          "  burgeon top --filter aurora-lab/    one organisation\n"
          "  burgeon top --plain --count 3       a table, three times, without a terminal\n",
          "",
          "Keys: arrows, PgUp, PgDn, Home, End move; Enter details; s sort; / filter by prefix; r reload; q quit.\n"
          "Columns: the count, what came in the last 7 and 30 days, the forecast for 90 days (median and the interval\n"
          "that holds it with 80 %), how far to trust it, and new children by week.\n",
          bg_command_top },
        { "watch", "updates as they come",
          "Examples:\n"
          "  burgeon watch                                    everything\n"
          "  burgeon watch surge/                             incidents only\n"
          "  burgeon watch forecast/aurora-lab/ --json        one organisation's models, as JSON Lines\n"
          "  burgeon watch org/ ecosystem/                    aggregates of organisations and of all models\n"
          "  burgeon watch forecast/aurora-lab/Polaris-7B/ --count 1   the last forecast of one model\n",
          "[TOPIC..]",
          "A topic is a prefix: forecast/, surge/, forecast/ORG/, forecast/ORG/MODEL/, org/ORG/, ecosystem/. The last value\n"
          "of everything it matches comes first, then updates. A gap (updates were lost), a stale stream (the daemon is silent) and a new\n"
          "epoch (the daemon began anew) are said on stderr, with --json on stdout.\n",
          bg_command_watch },
        { "list", "models in order of size, growth or forecast",
          "Examples:\n"
          "  burgeon list                               the 50 largest\n"
          "  burgeon list --sort growth --limit 10      who grows most\n"
          "  burgeon list --prefix aurora-lab/ --json   an organisation, as JSON Lines\n",
          "", NULL, bg_command_list },
        { "show", "one model: counts, forecast, parameters in words",
          "Examples:\n"
          "  burgeon show meta-llama/Llama-3.1-8B\n"
          "  burgeon show meta-llama/Llama-3.1-8B --horizons 30,365\n"
          "  burgeon show meta-llama/Llama-3.1-8B --relation adapter --json\n",
          "MODEL", NULL, bg_command_show },
        { "org", "one organisation: its models, and what its next one may expect",
          "Examples:\n"
          "  burgeon org meta-llama\n"
          "  burgeon org meta-llama --relation adapter --json\n",
          "NAME",
          "The organisation is the part of a model's name before the slash. What a new model may expect is learned from the\n"
          "organisation's own models and from all, by as much as organisations differ: of one with few models, it is what all do.\n",
          bg_command_org },
        { "orgs", "organisations in order of size or growth",
          "Examples:\n"
          "  burgeon orgs                        the 50 largest\n"
          "  burgeon orgs --sort growth          by new children of the last 30 days\n",
          "", NULL, bg_command_orgs },
        { "ecosystem", "all models together: concentration, parameters, leaders",
          "Examples:\n"
          "  burgeon ecosystem\n"
          "  burgeon ecosystem --relation download --json\n",
          "", NULL, bg_command_ecosystem },
        { "figures", "the figures of the 2025 paper, drawn from files",
          "Examples:\n"
          "  burgeon figures releases.csv tallies.csv -o figures              figure-1.svg .. figure-5.svg\n"
          "  burgeon figures releases.csv events.csv -o figures --png --top 20\n"
          "  burgeon figures releases.csv tallies.csv -o figures --estimator likelihood\n",
          "FILE..",
          "Draws from data files what the figures of Bhandari, Chen and Gao, 'Forecasting Open-Weight AI Model Growth on\n"
          "Hugging Face' (arXiv:2502.15987), show by their captions:\n"
          "  1  new children by month of age, a line a model, coloured by the day of its release\n"
          "  2  (a) distributions of lambda, mu and sigma, (b) their pairs, on logarithmic axes\n"
          "  3  densities of the cumulative counts at 2, 6 and 12 months, by organisation, of models with 1 <= lambda <= 10\n"
          "  4  cumulative children by month of age, a line a model, coloured by the year of its release\n"
          "  5  the largest models: counted (points) and fitted (curve), on a logarithmic axis\n"
          "burgeond makes the fits; it is looked for beside this program, then on PATH. By default they are the paper's own: least\n"
          "squares, m = 1, t in years. Many models have no finite optimum under it (lambda and mu run away together): they are left\n"
          "out of figures 2 and 3, and counted in the caption.\n"
          "Months are of 30.4375 days; a tally that ends within four days of one is that month's.\n",
          bg_command_figures },
        { "plot", "history and forecast as a chart, in the terminal or a file",
          "Examples:\n"
          "  burgeon plot meta-llama/Llama-3.1-8B                       in the terminal\n"
          "  burgeon plot meta-llama/Llama-3.1-8B --days 90 --back 180  the near past and future\n"
          "  burgeon plot meta-llama/Llama-3.1-8B -o llama.svg          as a file; .png as well\n",
          "MODEL",
          "The counted children, then the median of the forecast with the intervals that hold the count with 50, 80 and\n"
          "90 %. Surges are marked where they began.\n",
          bg_command_plot },
        { "milestone", "when a model reaches a count",
          "Examples:\n"
          "  burgeon milestone meta-llama/Llama-3.1-8B 10000\n"
          "  burgeon milestone meta-llama/Llama-3.1-8B 10k --relation adapter\n",
          "MODEL COUNT",
          "Dates by which the count is reached with a probability of 5 .. 95 %, and the probabilities to reach it within a\n"
          "week .. five years. What is not reached within five years is said to be so.\n",
          bg_command_milestone },
        { "why", "what moved the last forecast, or what an incident is",
          "Examples:\n"
          "  burgeon why meta-llama/Llama-3.1-8B        before and after, and in words\n"
          "  burgeon why 20250131-1a-1                  an incident, by its id in burgeon surges\n",
          "MODEL | INCIDENT", NULL, bg_command_why },
        { "surges", "incidents, the latest first",
          "Examples:\n"
          "  burgeon surges                                   the last incident of every model\n"
          "  burgeon surges --open                            what goes on now\n"
          "  burgeon surges --model meta-llama/Llama-3.1-8B --bursts\n",
          "", NULL, bg_command_surges },
        { "status", "is the daemon well, and how busy",
          "Examples:\n"
          "  burgeon status                     health, counts, rates; exit status 69 when there is no daemon\n"
          "  burgeon status --json              the same as JSON\n",
          "", NULL, bg_command_status },
        { "send", "submit events from files, reliably",
          "Examples:\n"
          "  burgeon send releases.csv events.csv.gz         count these\n"
          "  zcat dump.jsonl.gz | burgeon send -             from a pipe\n"
          "  burgeon send --rate 5000 --source nightly e.csv at most 5,000 events a second\n",
          "FILE.. | -",
          "Files are CSV with a header (model,child,created_at[,relation]; model,from,to,count[,relation];\n"
          "model[,org],released_at; `base` is read as `model`) or JSON Lines of events, plain or gzip. Every batch is\n"
          "acknowledged when it is durable, and sent again when no answer comes; sending a file twice is safe.\n"
          "Exit status 65 when a line or an event was rejected (not with --lenient), 69 when no daemon answers.\n",
          bg_command_send },
        { "replay", "send history in time order, at a chosen speed",
          "Examples:\n"
          "  burgeon replay eco/releases.csv eco/events.csv               30 days a second\n"
          "  burgeon replay --speed 365 eco/releases.csv eco/events.csv   a year a second\n"
          "  burgeon replay --speed max events.csv.gz                     as fast as it is taken\n",
          "FILE.. | -",
          "The files are merged in time order (read into memory when one is not in order) and their time is played\n"
          "back. A clock mark a day says that all until then was sent, so that silence counts as silence. Files and exit\n"
          "status: see burgeon send --help.\n",
          bg_command_replay },
        { "simulate", "write a simulated hub and its truth",
          "Examples:\n"
          "  burgeon simulate --out eco                          300 models, two years\n"
          "  burgeon simulate --out eco --models 2000 --days 1460 --pure --seed 7\n"
          "  burgeon simulate --out null --models 5000 --null    nothing to detect\n",
          "",
          "Writes events.csv, releases.csv, truth.csv (surges, and bursts of one uploader or a team as decoys: model, kind,\n"
          "onset, end, factor, rate a day at the onset, evidence in nats) and params.csv (lambda, mu and sigma in ln days, m,\n"
          "count). All names are invented.\n",
          bg_command_simulate },
        { 0 },
};
