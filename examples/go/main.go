// A job that reports to Rollcall from Go, with the standard library only.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

type fields map[string]any

// position is what a checkpoint of this job holds.
type position struct {
	Order  int `json:"order"`
	Failed int `json:"failed"`
}

// run is what this job reads of GET /run.
type run struct {
	Complete   bool `json:"complete"`
	Checkpoint *struct {
		Value position `json:"value"`
	} `json:"checkpoint"`
	Requeued []struct {
		ID   string `json:"id"`
		Item string `json:"item"`
	} `json:"requeued"`
}

// Without a proxy: the address is in the pod itself.
var client = &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{}}

// The sidecar may listen a moment later than this program starts: until then, refused is not final.
var patientUntil = time.Now().Add(5 * time.Second)

var orders, broken, dieAt = number("ORDERS", 10), number("BROKEN", 4), number("DIE_AT", 0)

func main() {
	var told run
	ask("/run?wait=30s", nil, &told)
	if os.Getenv("ROLLCALL_URL") != "" && !told.Complete {
		fmt.Fprintln(os.Stderr, "where the last run stopped may not be known")
	}

	// Dead letters of earlier runs that somebody asked to be tried again.
	for _, letter := range told.Requeued {
		fmt.Println("again", letter.Item)
		report("/handled", fields{"id": letter.ID})
	}

	// Where the last run stopped, if it did not finish.
	var at position
	if told.Checkpoint != nil {
		at = told.Checkpoint.Value
	}
	for at.Order < orders {
		at.Order++
		if at.Order == dieAt {
			message := fmt.Sprintf("died at order %d", at.Order)
			report("/error", fields{"type": "crash", "message": message, "class": "transient"})
			os.Exit(1)
		}
		if err := process(at.Order); err != nil {
			at.Failed++
			item := fmt.Sprintf("order-%d", at.Order)
			letter := fields{"item": item, "payload": fields{"order": at.Order}, "error": err.Error()}
			// What is neither done nor kept is not passed over: the next run begins with it.
			if !report("/dead-letter?wait=5s", letter) {
				os.Exit(1)
			}
		}
		counters := fields{"failed": at.Failed}
		report("/progress", fields{"done": at.Order, "total": orders, "stage": "orders", "counters": counters})
		// With ?wait=5s the answer comes when the checkpoint is stored for good.
		report("/checkpoint?wait=5s", fields{"value": at})
	}

	result := "succeeded"
	if at.Failed > 0 {
		result = "partial"
	}
	message := fmt.Sprintf("%d of %d orders failed", at.Failed, orders)
	report("/result", fields{"result": result, "message": message, "counters": fields{"failed": at.Failed}})
}

func process(order int) error {
	if order == broken {
		return errors.New("no such customer")
	}
	fmt.Println("order", order)
	return nil
}

// report says whether it was taken: without Rollcall, or while it is away, the work can go on.
func report(path string, content fields) bool {
	body, err := json.Marshal(content)
	if err != nil {
		complain(path, err)
		return false
	}
	return ask(path, body, &fields{})
}

// ask reads the answer into a value, and says whether there was one; without a body it is a GET.
func ask(path string, body []byte, answer any) bool {
	url := os.Getenv("ROLLCALL_URL")
	if url == "" {
		return false
	}
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, url+path, bytes.NewReader(body))
	if err != nil {
		complain(path, err)
		return false
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(patientUntil) {
		time.Sleep(200 * time.Millisecond)
		return ask(path, body, answer)
	}
	if err != nil {
		complain(path, err)
		return false
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 400 {
		complain(path, err, string(content))
		return false
	}
	if err := json.Unmarshal(content, answer); err != nil {
		complain(path, err)
		return false
	}
	return true
}

func complain(path string, about ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"not reported:", path}, about...)...)
}

func number(name string, fallback int) int {
	if value, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return value
	}
	return fallback
}
